"""Both clients against a server that fails as it is told: every event once, and errors with a sentence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing

import pytest

from devservers.ports import free_port
from streamchat.backoff import Backoff
from streamchat.chat import events as e
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.chat.wire import message_to_wire
from streamchat.client import AsyncClient, Entry, Incomplete, Refused, ServerFailed, Snapshot, TooMany, Unreachable
from streamchat.errors import InvalidInput, NotFound
from tests.integration.client.api import Api, Fault
from tests.integration.client.both import Async, Waiting
from tests.integration.web.conftest import MakeApi
from tests.support.loop import LoopThread
from tests.support.people import Person
from tests.unit.client.test_reading import ALL, SAID, WHOLE
from tests.unit.client.wire import RUN, encode

Serve = Callable[[Api], str]
both = pytest.mark.parametrize("client", [Waiting, Async])
TEXT = "Grüße 👩‍🚀\u2028 end"


def error_body(sentence: str, kind: str = "x") -> bytes:
    return json.dumps({"error": {"message": sentence, "kind": kind}}).encode()


@both
async def test_connections_that_break_are_taken_up_again(client: type, serve: Serve) -> None:
    """Cut streams, an answer that is no stream, and a server that restarts: every event once, and the whole message."""
    faults = [Fault(cut=n) for n in (0, 12, 300, 90, len(WHOLE) // 3)]
    faults += [Fault(503), Fault(body=b"id: 9999\nevent: text-delta\ndata: {}\n\n"), Fault(502, body=b"<html>")]
    api = Api(SAID, faults)
    heard, message = await client(serve(api)).entries(model="m")
    assert heard == ALL
    assert message == api.message
    assert message.usage == e.UsageReported(3, 9)
    assert message.stop_reason == "stop"
    assert api.faults == []


@both
async def test_text_is_the_answer(client: type, serve: Serve) -> None:
    """Over a broken connection too, each piece once."""
    assert await client(serve(Api(SAID, [Fault(cut=500)]))).text() == TEXT


@both
@pytest.mark.parametrize("ending", [e.Failed("The provider is overloaded.", "overloaded"), e.Interrupted()])
async def test_text_that_is_not_complete_does_not_end_like_one_that_is(
    client: type, serve: Serve, ending: e.Event
) -> None:
    """A failed or cut answer raises its sentence at the end of the text, with the partial message; events tell it."""
    api = Api([e.TextDelta("half"), ending])
    with pytest.raises(Incomplete) as told:
        await client(serve(api)).text()
    assert told.value.message.text == "half"
    assert told.value.user_message == ending.message  # pyrefly: ignore[missing-attribute] both have one
    heard, message = await client(serve(Api(api.events))).entries()
    assert heard[-1].event == ending
    assert message.status in ("failed", "interrupted")


@both
async def test_a_start_is_sent_again_as_the_same_message(client: type, serve: Serve) -> None:
    """Where the answer to a start is lost, it is asked again with the same id, so that one run begins."""
    api = Api(SAID, starts=[Fault(cut=0), Fault(503)])
    await client(serve(api)).entries("hi", model="m:x", conversation_id="c", system="s", options={"max_tokens": 5})
    assert len(api.bodies) == 3
    assert len({body["client_message_id"] for body in api.bodies}) == 1
    sent = {name: value for name, value in api.bodies[0].items() if name != "client_message_id"}
    assert sent == {
        "message": "hi",
        "model": "m:x",
        "conversation_id": "c",
        "system": "s",
        "options": {"max_tokens": 5},
    }


@both
async def test_following_begins_with_what_there_is(client: type, serve: Serve) -> None:
    """Without a number: a snapshot, then what comes. With one: every event behind it. The message is whole in both."""
    api = Api(SAID)
    heard, message = await client(serve(api)).follow(RUN)
    assert heard == [Entry(len(SAID), Snapshot(api.public))]
    assert message == api.public
    again = Api(SAID, [Fault(cut=200)])
    heard, message = await client(serve(again)).follow(RUN, 6)
    assert heard == ALL[6:]
    assert message == api.public


@both
@pytest.mark.parametrize("fault", [Fault(204), Fault(body=b"data: [DONE]\n\n")])
async def test_an_ended_run_that_was_read_to_its_end_says_so(client: type, serve: Serve, fault: Fault) -> None:
    """The server has nothing more to say (204, or only its end mark): the message is fetched, nobody waits."""
    heard, message = await client(serve(Api(SAID, [fault]))).follow(RUN, len(SAID))
    assert [type(entry.event) for entry in heard] == [Snapshot]
    assert message.status == "finished"


@both
async def test_final_in_the_middle_of_a_loop_takes_nothing_from_it(client: type, serve: Serve) -> None:
    """The message is there at once, the loop still gets every event."""
    heard, message = await client(serve(Api(SAID))).final_in_the_loop()
    assert heard == ALL
    assert message.text == TEXT


async def test_a_server_with_accounts_is_read_with_a_key(make_api: MakeApi) -> None:
    """``headers`` are sent with every request: the start, the stream, and what follows."""
    async with make_api(STREAMCHAT_ACCOUNTS="open") as api, Person(api.url) as anna, AsyncClient(api.url) as nobody:
        await anna.sign_up()
        key = (await anna.new_key())["key"]
        async with AsyncClient(api.url, headers={"Authorization": f"Bearer {key}"}) as client:
            run = await client.start("hi")
            api.provider.say(e.TextDelta("for Anna"), e.Finished())
            assert [piece async for piece in run.text()] == ["for Anna"]
            assert (await client.get(run.id)).text == "for Anna"
        with pytest.raises(Refused, match="Sign in first") as told:
            await nobody.start("hi")
        assert told.value.status == 401


@both
@pytest.mark.parametrize(
    ("status", "kind"), [(400, InvalidInput), (413, InvalidInput), (404, NotFound), (403, Refused), (401, Refused)]
)
async def test_what_is_refused_is_said_at_once(client: type, serve: Serve, status: int, kind: type) -> None:
    """The server's sentence and kind, and no second try."""
    api = Api(SAID, starts=[Fault(status, body=error_body("No, because.", "because"))])
    with pytest.raises(kind) as told:
        await client(serve(api)).entries()
    assert told.value.user_message == "No, because."
    assert told.value.kind == "because"
    assert len(api.bodies) == 1


@both
async def test_what_answers_is_not_streamchat(client: type, serve: Serve) -> None:
    """Another program on the port is said in a sentence, at once."""
    api = Api(SAID, starts=[Fault(200, body=b"<html>hello</html>")])
    with pytest.raises(ServerFailed, match="not streamchat"):
        await client(serve(api)).entries()


@both
async def test_it_does_not_try_for_ever(client: type, serve: Serve) -> None:
    """Nobody listens, or the server has too much to do for longer than the patience: a sentence."""
    with pytest.raises(Unreachable, match="Is it running"):
        await client(f"http://127.0.0.1:{free_port()}", patience=0.3).entries()
    busy = Fault(429, headers="retry-after: 60\r\n", body=error_body("Too many streams."))
    with pytest.raises(TooMany, match="Too many streams") as told:
        await client(serve(Api(SAID, [busy])), patience=5).entries()
    assert told.value.retry_after == 60


def snapshot(seq: int, *events: e.Event) -> bytes:
    message = fold(Message(RUN, "assistant", status="streaming"), events)
    told = json.dumps({"type": "snapshot", "seq": seq, "message": message_to_wire(message)})
    return f"id: {seq}\nevent: snapshot\ndata: {told}\n\n".encode()


@both
@pytest.mark.parametrize("fault", [Fault(cut=30), Fault(body=snapshot(0)), Fault(body=b"data: x\n\n")])
async def test_a_server_that_brings_nothing_new_is_given_up(client: type, serve: Serve, fault: Fault) -> None:
    """Connections without a new event do not count as progress, also where each brings the same snapshot."""
    with pytest.raises(Unreachable):
        await client(serve(Api(SAID, [fault] * 500)), patience=0.5).entries()


@both
async def test_a_quiet_connection_that_lasts_is_a_sign_of_life(client: type, serve: Serve) -> None:
    """An answer that waits is read for as long as it takes: each connection only has heartbeats, and then breaks."""
    api = Api(SAID, [Fault(cut=9, pings=16)] * 3)  # each lasts longer than the patience
    heard, _ = await client(serve(api), patience=0.3).entries()
    assert heard == ALL
    assert api.faults == []


async def test_a_quiet_conversation_is_followed_for_as_long_as_it_takes(serve: Serve) -> None:
    """The server ends each of its connections after a while, and nothing comes on them but heartbeats."""
    deleted = Fault(body=b'event: deleted\ndata: {"type":"deleted"}\n\ndata: [DONE]\n\n')
    api = Api(SAID, [*[Fault(cut=9, pings=16)] * 3, deleted])
    async with AsyncClient(serve(api), patience=0.3) as client:
        assert [event.data["type"] async for event in client.follow_conversation("c")] == ["deleted"]
    assert api.faults == []


@both
async def test_text_over_a_snapshot_comes_once(client: type, serve: Serve) -> None:
    """Where the server can only tell the whole again, a loop over the text gets what is new in it."""
    said = [e.TextDelta("one "), e.TextDelta("two "), e.TextDelta("three"), e.Finished()]
    faults = [Fault(body=encode(1, said[0])), Fault(body=snapshot(2, *said[:2]))]
    assert await client(serve(Api(said, faults))).text() == "one two three"


async def test_a_cancelled_wait_loses_nothing(serve: Serve, loop: LoopThread) -> None:
    """A time-out around one event, and the next wait goes on where it was."""
    hold = asyncio.Event()
    url = serve(Api(SAID, hold=hold))
    async with AsyncClient(url) as client:
        run, heard = await client.start("hi"), []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as limit, aclosing(run.entries()) as entries:
                async for entry in entries:
                    heard.append(entry)
                    limit.reschedule(asyncio.get_running_loop().time() + 0.5)
        assert 0 < len(heard) < len(ALL)
        loop.loop.call_soon_threadsafe(hold.set)
        heard += [entry async for entry in run.entries()]
        assert heard == ALL


async def test_two_tasks_share_one_run(serve: Serve) -> None:
    """Each event goes to one of them, and ``final()`` beside a loop takes none."""
    async with AsyncClient(serve(Api(SAID))) as client:
        run = await client.start("hi")

        async def read() -> list[Entry]:
            return [entry async for entry in run.entries()]

        one, two, message = await asyncio.gather(read(), read(), run.final())
        assert sorted(one + two, key=lambda entry: entry.seq) == ALL
        assert message.text == TEXT


def test_pauses_grow_and_end() -> None:
    """Drawn between nothing and a bound that doubles up to the cap; what the server asks is waited at least."""
    bounds: list[float] = []

    def draw(low: float, high: float) -> float:
        assert low == 0
        bounds.append(high)
        return high / 2

    backoff = Backoff(60, base=1, cap=8, draw=draw)
    assert [backoff.pause(0) for _ in range(5)] == [0.5, 1, 2, 4, 4]
    assert bounds == [1, 2, 4, 8, 8]
    assert backoff.pause(10, retry_after=5) == 9
    assert backoff.pause(61) is None
    backoff.reset()
    assert backoff.pause(100) == 0.5
    assert backoff.pause(100, retry_after=61) is None


def test_patience_begins_anew_with_a_connection_that_lasts() -> None:
    """One that breaks within the longest pause, or within the patience, is no progress."""
    backoff = Backoff(60, base=1, cap=8, draw=lambda low, high: high)
    assert backoff.pause(0) == 1
    backoff.heard(10, now=18)
    assert backoff.pause(61) is None
    backoff.heard(10, now=18.1)
    assert [backoff.pause(61), backoff.pause(121), backoff.pause(121.1)] == [1, 2, None]
    hasty = Backoff(0.5)
    assert hasty.pause(0) is not None
    hasty.heard(0, now=0.6)
    assert hasty.pause(0.7) is not None
