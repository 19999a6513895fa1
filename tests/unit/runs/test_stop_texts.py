"""An answer ends before the texts that its client named, however they arrive."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import nullcontext

import pytest

from streamchat.chat.events import Event, Finished, ReasoningDelta, TextDelta
from streamchat.errors import StreamBroken
from streamchat.runs.stop_texts import until_stop


class Source:
    """Says these events; ``closed``: it was left before its end."""

    def __init__(self, *events: Event) -> None:
        self._events = events
        self.closed = False

    async def stream(self) -> AsyncGenerator[Event, None]:
        try:
            for event in self._events:
                yield event
        except GeneratorExit:
            self.closed = True
            raise


async def read(source: Source, stops: Sequence[str]) -> list[Event]:
    return [event async for event in until_stop(source.stream(), stops)]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_cut_at_the_first(size: int):
    """In whatever pieces: the text before it comes, the provider is left, and it has finished."""
    text = "one two STOP three"
    source = Source(*(TextDelta(text[at : at + size]) for at in range(0, len(text), size)), Finished("length"))
    events = await read(source, ["###", "STOP"])
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "one two "
    assert events[-1] == Finished()
    assert source.closed


async def test_what_only_resembles_it_comes_whole():
    """A beginning that goes on otherwise is text, and so is one at the end; other events keep their place."""
    said = [TextDelta("ST"), TextDelta("AR S"), ReasoningDelta("hm"), TextDelta("TO"), Finished()]
    events = await read(Source(*said), ["STOP"])
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "STAR STO"
    assert [type(event) for event in events[-3:]] == [ReasoningDelta, TextDelta, Finished]
    assert events[-1] == Finished()


@pytest.mark.parametrize("error", [None, StreamBroken("cut")])
async def test_what_is_held_comes_if_the_provider_breaks_off(error: StreamBroken | None):
    """Received text is kept, whether the stream ends without an ending or with an error."""

    async def broken() -> AsyncGenerator[Event, None]:
        yield TextDelta("4")
        yield TextDelta("2 STO")
        if error is not None:
            raise error

    said: list[Event] = []
    with nullcontext() if error is None else pytest.raises(StreamBroken):
        async for event in until_stop(broken(), ["STOP"]):
            said.append(event)
    assert "".join(event.text for event in said if isinstance(event, TextDelta)) == "42 STO"
