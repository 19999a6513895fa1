"""The plain forms: one GET that asks and streams text, as tutorials teach it."""

from __future__ import annotations

import asyncio
import json

import pytest

from streamchat.chat.events import Finished, ReasoningDelta, TextDelta
from streamchat.chat.sse import SSEDecoder
from streamchat.errors import ProviderError
from streamchat.protocols import encoding
from tests.integration.web.conftest import Api

FORMS = ("/stream", "/stream-chat", "/stream-with-meta")
PIECES = [
    "Hello ",
    "two\nlines",
    "a\r\nb\rc",
    "\n",
    " ",
    "",
    "[DONE]",
    "wörld 👩‍👩‍👧",
    "\u2028x",
    " [DONE]",
    "data: x",
    ":c",
]


async def ask(api: Api, form: str, *events) -> bytes:
    """The body of one answer that says this, each event an entry of its own."""
    asking = asyncio.create_task(api.client.get(form, params={"query": "hello"}))
    while not api.provider.requests:
        await asyncio.sleep(0.001)
    (run,) = api.world.runs.running("local")
    for event in events:
        before = api.world.log.snapshot(run.run_id).seq
        api.provider.say(event)
        while api.world.log.snapshot(run.run_id).seq == before:
            await asyncio.sleep(0.001)
    return (await asking).content


def pieces_of(body: bytes) -> list[str]:
    """What ``EventSource.onmessage`` would get."""
    return [event.data for event in SSEDecoder().feed(body) if event.event == "message"]


@pytest.mark.parametrize("form", ["/stream", "/stream-chat"])
async def test_pieces_arrive_as_they_were_said(api: Api, form: str):
    """Line breaks survive as LF, no piece can be taken for the end, and the end is ``[DONE]``, once."""
    body = await ask(api, form, *map(TextDelta, PIECES), Finished())
    got = pieces_of(body)
    assert got.pop() == "[DONE]"
    assert "[DONE]" not in got
    assert "".join(got) == "".join(PIECES).replace("\r\n", "\n").replace("\r", "\n")


async def test_tokens_are_counted(api: Api):
    """``{"type": "token", "content", "token_num"}`` from 1 on, then ``[DONE]``; line breaks are exact in JSON."""
    body = await ask(api, "/stream-with-meta", *map(TextDelta, PIECES), Finished())
    got = pieces_of(body)
    assert got.pop() == "[DONE]"
    tokens = [json.loads(piece) for piece in got]
    assert [token["token_num"] for token in tokens] == list(range(1, len(tokens) + 1))
    assert {token["type"] for token in tokens} == {"token"}
    assert "".join(token["content"] for token in tokens) == "".join(PIECES)


@pytest.mark.parametrize("form", FORMS)
async def test_a_reconnect_goes_on_and_does_not_ask_again(api: Api, form: str):
    """From each id on: exactly the rest. From the last: 204. The model was asked once."""
    body = await ask(api, form, ReasoningDelta("hm"), *map(TextDelta, "abcdef"), Finished())
    blocks = body.removeprefix(encoding.RETRY).split(b"\n\n")
    ids = [block.split(b"\n")[0].removeprefix(b"id: ").decode() for block in blocks if block.startswith(b"id: ")]
    for n, place in enumerate(ids[:-1]):
        rest = (await api.client.get(form, params={"query": "hello"}, headers={"Last-Event-ID": place})).content
        if form == "/stream-with-meta":  # numbers go on counting per connection
            assert rest.count(b'"token"') == len(ids) - 2 - n
        else:
            assert rest.removeprefix(encoding.RETRY).split(b"\n\n") == blocks[n + 1 :]
    last = await api.client.get(form, params={"query": "hello"}, headers={"Last-Event-ID": ids[-1]})
    assert last.status_code == 204
    assert len(api.provider.requests) == 1


@pytest.mark.parametrize("form", FORMS)
async def test_no_id_is_on_an_event_without_data(api: Api, form: str):
    """Some readers take such a block for an event: the last id is that of the end."""
    body = await ask(api, form, *map(TextDelta, "ab"), Finished())
    blocks = [block for block in body.split(b"\n\n") if b"id: " in block]
    assert all(b"data: " in block for block in blocks)
    assert blocks[-1].endswith(b"data: [DONE]")


@pytest.mark.parametrize("place", ["x", "a:b", "run:-1", "run:1:2", "a b:1", "run:99999999999999999999", "\x7f:1"])
async def test_a_place_that_is_none_is_refused(api: Api, place: str):
    """400, and nothing is asked."""
    answer = await api.client.get("/stream?query=x", headers={"Last-Event-ID": place})
    assert answer.status_code == 400
    assert api.provider.requests == []


async def test_a_place_in_a_run_that_is_not_there(api: Api):
    """404: it is not answered with somebody else's run, or with a new one."""
    assert (await api.client.get("/stream?query=x", headers={"Last-Event-ID": "nothere:3"})).status_code == 404
    assert api.provider.requests == []


async def test_what_is_not_kept_any_more_is_not_told_twice(api: Api):
    """A reader whose place is forgotten is told so, instead of the same text again."""
    body = await ask(api, "/stream", *map(TextDelta, "abc"), Finished())
    run_id = body.split(b"id: ")[1].split(b":")[0].decode()
    api.world.log.forget(run_id)
    rest = (await api.client.get("/stream?query=x", headers={"Last-Event-ID": f"{run_id}:1"})).content
    assert pieces_of(rest) == ["[DONE]"]
    assert b"event: interrupted" in rest


async def test_what_went_wrong_is_no_text(api: Api):
    """An error is a named event with a sentence, which ``onmessage`` does not get; then the end."""
    body = await ask(api, "/stream", TextDelta("Half"), ProviderError("The provider is overloaded."))
    assert pieces_of(body) == ["Half", "[DONE]"]
    assert b"event: failed" in body


async def test_nothing_to_ask_is_told(api: Api):
    """422 with a sentence for no query, 404 for no such model; nothing is asked."""
    for form in FORMS:
        assert (await api.client.get(form)).status_code == 422
        assert (await api.client.get(form, params={"query": "x", "model": "no:such"})).status_code == 404
        assert (await api.client.get(form, params={"query": "  "})).status_code == 422
    assert api.provider.requests == []
