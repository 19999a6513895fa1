"""Adapters for the vendors' SDKs: send a request, decode the stream into events, translate errors."""
