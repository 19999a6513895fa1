"""Long and rough use. ``make soak`` sets ``SOAK_SECONDS``: then the tests run for long, by themselves, with strict
bounds. Without it they are short, and share the machine with other tests."""

from tests.support.long import LONG

__all__ = ["LONG"]
