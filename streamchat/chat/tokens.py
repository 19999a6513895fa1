"""Estimates of tokens from characters, rather too many: an exact count needs the vendor's tokenizer."""

from __future__ import annotations

# English runs at about 4 characters a token, code at 3, CJK text at 1.
_CHARS_PER_TOKEN = 3.0


def estimate_tokens(text: str) -> float:
    """Estimate the tokens of a text."""
    wide = 0 if text.isascii() else sum(c > "\u2e7f" for c in text)
    return wide + (len(text) - wide) / _CHARS_PER_TOKEN
