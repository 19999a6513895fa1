"""Anthropic's Messages API, and servers that implement it."""
