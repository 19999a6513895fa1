"""Chunks that have arrived pass the HTTP client as one; nothing else of a response is different."""

from __future__ import annotations

import h11
import pytest
from h11 import _readers
from hypothesis import given
from hypothesis import strategies as st

from streamchat.providers import joined_chunks
from streamchat.providers.joined_chunks import JoiningReader, join_chunks

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def read(reader: type, arrivals: list[bytes], closed: bool = False) -> tuple[list[bytes], str]:
    """The data events of a response that comes in these arrivals, and what ended it."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    pieces: list[bytes] = []
    arrivals = [HEAD, *arrivals, *([b""] if closed else [])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_readers.READERS[h11.SEND_BODY], "chunked", reader)  # pyrefly: ignore[bad-argument-type]
        for arrival in arrivals:
            connection.receive_data(arrival)
            while True:
                try:
                    event = connection.next_event()
                except h11.RemoteProtocolError as error:
                    return pieces, str(error)
                if event is h11.NEED_DATA:
                    break
                if isinstance(event, h11.Data):
                    pieces.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    return pieces, f"end {event.headers}"
    return pieces, "open"


def test_what_is_there_comes_at_once() -> None:
    """Chunks of an arrival are one piece, also with the end behind them; a half one waits for its rest."""
    assert read(JoiningReader, [chunk(b"a") + chunk(b"b") + chunk(b"c")]) == ([b"abc"], "open")
    assert read(JoiningReader, [chunk(b"a") + chunk(b"b") + END]) == ([b"ab"], "end <Headers([])>")
    assert read(JoiningReader, [chunk(b"a"), chunk(b"b"), END])[0] == [b"a", b"b"]
    assert read(JoiningReader, [chunk(b"a") + b"4\r\nbc", b"de\r\n"]) == ([b"abc", b"de"], "open")


def test_what_is_wrong_comes_after_what_was_right() -> None:
    """A broken chunk loses nothing of those before it."""
    pieces, why = read(JoiningReader, [chunk(b"a") + chunk(b"b") + b"nonsense\r\n"])
    assert pieces == [b"ab"]
    assert "illegal chunk header" in why
    pieces, why = read(JoiningReader, [chunk(b"a") + b"5\r\nb"], closed=True)
    assert pieces == [b"ab"]
    assert "incomplete chunked read" in why


@given(
    st.lists(st.binary(min_size=1, max_size=20), max_size=8),
    st.lists(st.integers(0, 200), max_size=8),
    st.sampled_from([END, b"0\r\nTrailer: x\r\n\r\n", b"", b"zz\r\n", b"3\r\nab"]),
    st.booleans(),
)
def test_the_same_as_chunk_by_chunk(data: list[bytes], cuts: list[int], tail: bytes, closed: bool) -> None:
    """However the bytes arrive: the same text, and the same end or error, as with the reader that it replaces."""
    whole = b"".join(map(chunk, data)) + tail
    places = [0, *sorted({cut for cut in cuts if 0 < cut < len(whole)}), len(whole)]
    arrivals = [whole[a:b] for a, b in zip(places, places[1:], strict=False) if a < b]
    joined, plain = (read(reader, arrivals, closed) for reader in (JoiningReader, _readers.ChunkedReader))
    assert b"".join(joined[0]) == b"".join(plain[0])
    assert joined[1] == plain[1]
    assert len(joined[0]) <= len(plain[0])


def test_where_h11_is_different_nothing_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients have it; an ``h11`` that has no such table is left as it is."""
    assert join_chunks()
    assert _readers.READERS[h11.SEND_BODY]["chunked"] is JoiningReader  # pyrefly: ignore[unsupported-operation]
    monkeypatch.setattr(joined_chunks._readers, "READERS", {})
    assert not join_chunks()
