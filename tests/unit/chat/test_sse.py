"""The decoder: what browsers make of bytes, however they are cut."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc

import pytest
from httpx_sse import _decoders as other
from hypothesis import given, settings
from hypothesis import strategies as st

from streamchat.chat.sse import EventTooLarge, ServerSentEvent, SSEDecoder
from tests import ROOT

VECTORS = ROOT.parent / "shared" / "recordings" / "sse-vectors" / "eventsource-vectors.json"


def vectors() -> list[dict]:
    return json.loads(VECTORS.read_text()) if VECTORS.exists() else []


def decode(*chunks: bytes) -> tuple[list[ServerSentEvent], SSEDecoder]:
    decoder = SSEDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)], decoder


@pytest.mark.skipif(not VECTORS.exists(), reason="no recordings beside the checkout")
@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_what_a_browser_makes_of_it(vector: dict) -> None:
    """Events, ids and Last-Event-ID are those of Chromium, whole, cut in two at every byte, and byte by byte."""
    data = base64.b64decode(vector["b64"])
    want = [(e["event"], e["data"], e["id"]) for e in vector["expected"]]
    step = max(1, len(data) // 600)
    cuts = [[data], [data[i : i + 1] for i in range(len(data))]]
    cuts += [[data[:i], data[i:]] for i in range(0, len(data), step)]
    for chunks in cuts:
        events, decoder = decode(*chunks)
        heard = [(e.event, e.data, e.id) for e in events if e.event in vector["types"]]
        assert heard == want
        assert (decoder.last_event_id or None) == vector["last_event_id_header"]
        if decoder.retry is not None:
            assert abs(vector["reconnect_ms"] - decoder.retry) < 200


PIECES = st.sampled_from(
    [b"data", b"id", b"event", b"retry", b":", b": ", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"x", b"12", b"\0"]
    + [b"\xef\xbb\xbf", b"\xff", "é😀".encode(), b"\xf0\x9f"]
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=60).map(b"".join), st.lists(st.integers(0, 200), max_size=6))
def test_split_blind(data: bytes, cuts: list[int]) -> None:
    """However the bytes are cut, the same events come out."""
    whole, _ = decode(data)
    edges = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    cut, _ = decode(*(data[a:b] for a, b in zip(edges, edges[1:], strict=False)))
    single, _ = decode(*(data[i : i + 1] for i in range(len(data))))
    assert whole == cut == single


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["message", "ping", "x"]), st.text("ab \n:é😀", min_size=1)), max_size=8))
def test_same_as_an_independent_decoder(sent: list[tuple[str, str]]) -> None:
    """On well-formed streams it agrees with httpx-sse."""
    body = "".join(f"event: {k}\n" + "".join(f"data: {p}\n" for p in t.split("\n")) + "\n" for k, t in sent)
    theirs, decoder = [], other.SSEDecoder()
    for line in body.split("\n")[:-1]:
        if (event := decoder.decode(line)) is not None:
            theirs.append((event.event, event.data))
    events, _ = decode(body.encode())
    assert [(e.event, e.data) for e in events] == theirs


def test_fields_of_an_event() -> None:
    """Name, id and retry are there; retry belongs to the event that set it."""
    events, decoder = decode(b"event: a\nid: 7\nretry: 20\ndata: x\n\ndata: y\n\n")
    assert events == [ServerSentEvent("a", b"x", "7", 20), ServerSentEvent("message", b"y", "7", None)]
    assert (decoder.last_event_id, decoder.retry, decoder.held) == ("7", 20, 0)


def test_raw_keeps_bytes_that_are_not_utf8() -> None:
    """``data`` replaces what is not UTF-8, ``raw`` does not, so that a caller can tell."""
    (event,), _ = decode(b"data: a\xff\n\n")
    assert (event.raw, event.data) == (b"a\xff", "a\ufffd")


@pytest.mark.parametrize("size", [99, 100, 101, 102])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_bound_on_one_event(size: int, step: int) -> None:
    """An event over the limit raises, one at the limit does not, whatever the split; earlier events are kept."""
    data = b"data: ok\n\n" + b"data: " + b"y" * (size - 6) + b"\n\n" + b"data: after\n\n"
    decoder, heard = SSEDecoder(max_event_bytes=100), []
    try:
        for i in range(0, len(data), step):
            heard += decoder.feed(data[i : i + step])
    except EventTooLarge as error:
        heard += error.events
        assert size > 100
        assert [e.data for e in heard] == ["ok"]
    else:
        assert size <= 100
        assert len(heard) == 3


def test_a_huge_line_is_not_held() -> None:
    """A line without an end costs no more memory than the limit allows."""
    decoder, piece = SSEDecoder(max_event_bytes=1_000_000), b"y" * 65536
    tracemalloc.start()
    with pytest.raises(EventTooLarge):
        for _ in range(1600):
            decoder.feed(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("step", [1, 3, 64])
def test_linear(step: int) -> None:
    """Eight times the bytes of one event cost about eight times the work, in whatever pieces they come."""

    def cost(size: int) -> float:
        data = b"data: " + b"y" * size + b"\n\n"
        best = float("inf")
        for _ in range(3):
            decoder, start = SSEDecoder(), time.process_time()
            for i in range(0, len(data), step):
                decoder.feed(data[i : i + step])
            best = min(best, time.process_time() - start)
        return best

    assert cost(160_000) < 8 * 4 * max(cost(20_000), 0.0005)
