"""Ends an answer before one of the texts that its client asked to stop at, whatever the provider makes of them.

Knows events, no provider. Rule: only what may be the beginning of such a text is held back, until it is none.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from streamchat.chat.events import Event, Finished, TextDelta

AT_STOP_TEXT = Finished()
"""The ending, itself and not one that equals it, if it was made here: the provider may go on."""


async def until_stop(events: AsyncGenerator[Event, None], stops: Sequence[str]) -> AsyncGenerator[Event, None]:
    """Yield the events up to the first of these texts, then the ending. Closes ``events``."""
    held, broken = "", None
    async with aclosing(events):
        while True:
            try:
                event = await anext(events)
            except StopAsyncIteration:
                break
            except Exception as error:
                broken = error
                break
            if not isinstance(event, TextDelta):
                if held:
                    yield TextDelta(held)
                    held = ""
                yield event
                continue
            held += event.text
            if ends := [at for stop in stops if (at := held.find(stop)) >= 0]:
                if text := held[: min(ends)]:
                    yield TextDelta(text)
                yield AT_STOP_TEXT
                return
            keep = _may_begin(held, stops)
            if text := held[: len(held) - keep]:
                yield TextDelta(text)
            held = held[len(held) - keep :]
        # What was received is text of the answer, also if nothing follows it.
        if held:
            yield TextDelta(held)
        if broken is not None:
            raise broken


def _may_begin(text: str, stops: Sequence[str]) -> int:
    """Return how many characters at the end of the text may be the beginning of one of these."""
    longest = min(len(text), max(map(len, stops)) - 1)
    return next((n for n in range(longest, 0, -1) if any(stop.startswith(text[-n:]) for stop in stops)), 0)
