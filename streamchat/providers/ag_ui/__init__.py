"""Agents that speak AG-UI, as models."""
