"""streamchat delivers LLM answers token by token.

An answer is a numbered log of events: one producer writes it, any number of readers follow it from
any number on. ``docs/architecture.md`` walks the path of a token through the packages.
"""

__version__ = "0.1.0"
