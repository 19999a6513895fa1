"""The same log over gRPC: start, follow from any number on, look, stop, decide."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devservers.app import ROOT
from streamchat.chat import events as e
from streamchat.chat.messages import ToolCallPart
from streamchat.chat.wire import EVENT_NAMES, message_to_wire
from streamchat.errors import InvalidInput, NotFound, ProviderError, StorageError, StreamchatError
from streamchat.identity import Credentials, Identity
from streamchat.protocols import conversation_events, encoding
from streamchat.runs import reader
from streamchat.runs.log import Entry
from streamchat.runs.notifications import Notification
from streamchat.web import grpc_encoding
from streamchat.web.error_responses import TooManyStreams
from streamchat.web.grpc_encoding import code_of, event_pb
from tests.integration.grpc.conftest import MakeServer, RunsStub, Served, pb

EOF = grpc.aio.EOF
SAID: list[e.Event] = [
    e.ReasoningDelta("Well…"),
    e.TextDelta("Grüße 👩‍🚀\u2028"),
    e.SourceAdded("https://example.org/", "Example"),
    e.Notice("seam", "It goes on.", {"n": 2**60}),
    e.TextDelta("end"),
    e.UsageReported(3, 0),
    e.Finished(),
]


async def said(server: Served, *events: e.Event | None) -> str:
    """A run that said this, each event an entry of its own, and has ended."""
    run_id = await server.start()
    for event in events:
        before = server.world.log.snapshot(run_id).seq
        server.world.provider.say(event)
        while server.world.log.snapshot(run_id).seq == before:
            await asyncio.sleep(0.001)
    await server.world.ended(run_id)
    return run_id


async def test_every_entry_in_order_from_any_number_on(server: Served):
    """The numbers, kinds and contents of the log; resumed at every number, exactly what is missing."""
    run_id = await said(server, *SAID)
    entries = await server.follow(run_id)
    assert entries == [event_pb(n, event) for n, event in enumerate(SAID, 1)]
    assert "".join(entry.text_delta for entry in entries) == "Grüße 👩‍🚀\u2028end"
    assert json.loads(entries[3].notice.data_json) == {"n": 2**60}
    assert (entries[5].usage.output, entries[5].usage.HasField("cached")) == (0, False)
    for k in range(len(SAID)):
        assert await server.follow(run_id, k) == entries[k:]
    assert await server.follow(run_id, len(SAID)) == []
    beyond = await server.follow(run_id, 99)
    assert [entry.WhichOneof("event") for entry in beyond] == ["snapshot", "finished"]
    assert beyond[0].snapshot.text == "Grüße 👩‍🚀\u2028end"


async def test_pieces_come_as_they_are_said(server: Served):
    """Each one before the next is said; readers at different places see the same."""
    run_id = await server.start()
    call = server.stub.Follow(pb.FollowRequest(run_id=run_id))
    for word in ("one", "two", "three"):
        server.world.provider.say(e.TextDelta(word))
        assert (await asyncio.wait_for(call.read(), 20)).text_delta == word
    server.world.provider.say(e.Finished())
    assert (await call.read()).WhichOneof("event") == "finished"
    assert await call.read() is EOF
    assert await call.code() == grpc.StatusCode.OK


async def test_a_start_that_is_sent_again_is_the_same_run(server: Served):
    """One run per client message id, and one call of the provider."""
    asked = pb.StartRequest(text="hi", client_message_id="m1", options_json='{"max_tokens": 5}', system="Be short.")
    first, second = await server.stub.Start(asked), await server.stub.Start(asked)
    assert (first.run_id, first.created, second.created) == (second.run_id, True, False)
    server.world.provider.say(e.Finished())
    await server.world.ended(first.run_id)
    (request,) = server.world.provider.requests
    assert (request.options.max_tokens, request.system, request.messages[-1].text) == (5, "Be short.", "hi")


async def test_stop_and_get_tell_the_run(server: Served):
    """What had arrived is kept; a reader gets the ending; stop again changes nothing; parts are those of HTTP."""
    run_id = await server.start()
    server.world.provider.say(e.TextDelta("half"))
    call = server.stub.Follow(pb.FollowRequest(run_id=run_id))
    await call.read()
    run = await server.stub.Stop(pb.StopRequest(run_id=run_id))
    assert (run.run_id, run.message.status, run.message.text) == (run_id, pb.STOPPED, "half")
    assert (await call.read()).WhichOneof("event") == "stopped"
    assert await call.read() is EOF
    assert await server.stub.Stop(pb.StopRequest(run_id=run_id)) == run
    got = await server.stub.Get(pb.GetRequest(run_id=run_id))
    assert got == run
    message = await server.world.stored(run_id)
    assert json.loads(got.message.parts_json) == message_to_wire(message)["parts"]


async def test_steer_stops_and_asks_next(server: Served):
    """What it wrote is history, and the message is answered next; sent again it is the same answer."""
    run_id = await server.start()
    server.world.provider.say(e.TextDelta("half"))
    call = server.stub.Follow(pb.FollowRequest(run_id=run_id))
    await call.read()
    with pytest.raises(grpc.aio.AioRpcError):
        await server.stub.Steer(pb.SteerRequest(run_id=run_id, text=""))
    asked = pb.SteerRequest(run_id=run_id, text="rather this", client_message_id="s1")
    first = await server.stub.Steer(asked)
    again = await server.stub.Steer(asked)
    assert (first.created, again.created, first.run_id) == (True, False, again.run_id)
    assert (await call.read()).WhichOneof("event") == "stopped"
    texts = [message.text for message in server.world.provider.requests[-1].messages]
    assert texts[-2:] == ["half", "rather this"]
    server.world.provider.say(e.Finished())
    await server.world.ended(first.run_id)


async def test_a_message_waits_for_the_answer_before(server: Served):
    """In the queue, and at the next round of tools: it is answered after this one, and the first entry says why."""
    run_id = await server.start()
    conversation_id = await server.world.runs.conversation_of("local", run_id)
    with pytest.raises(grpc.aio.AioRpcError):
        await server.start("two", conversation_id=conversation_id)
    second = await server.start("two", conversation_id=conversation_id, queue=True)
    server.world.provider.say(e.TextDelta("1"), e.Finished(), e.TextDelta("2"))
    while server.world.log.snapshot(second).message.text != "2":
        await asyncio.sleep(0.005)
    asked = pb.SteerRequest(run_id=second, text="three", at_round=True)
    third = (await server.stub.Steer(asked)).run_id
    server.world.provider.say(e.Finished(), e.Finished())
    entries = await server.follow(third)
    outcomes = [json.loads(entry.notice.data_json) for entry in entries if entry.HasField("notice")]
    assert outcomes[-1] == {"run_id": second, "outcome": "too-late"}
    assert [m.text for m in server.world.provider.requests[-1].messages] == ["hello", "1", "two", "2", "three"]


async def test_a_decision_goes_on_with_the_run(server: Served):
    """A reader that was there stays, and gets what follows; changed arguments are what runs."""
    run_id = await server.start("send it")
    call = server.stub.Follow(pb.FollowRequest(run_id=run_id))
    arguments = {"to": "Ada"}
    server.world.provider.say(
        e.ToolCallStarted("c1", "send"), e.ToolCallReady("c1", arguments), e.Finished("tool-calls")
    )
    kinds, seqs = [], []
    async for entry in call:
        kinds.append(entry.WhichOneof("event"))
        seqs.append(entry.seq)
        if kinds[-1] == "waiting":
            await server.world.reached(run_id, "waiting")
            changed = json.dumps({"to": "Grace", "copies": 2})
            server.world.provider.say(e.TextDelta("Done."), e.Finished())
            asked = pb.DecideRequest(run_id=run_id, call_id="c1", approve=True, arguments_json=changed)
            assert (await server.stub.Decide(asked)).run_id == run_id
    assert seqs == list(range(1, len(seqs) + 1))
    assert kinds[-1] == "finished"
    parts = (await server.world.stored(run_id)).parts
    assert next(part.result for part in parts if isinstance(part, ToolCallPart)) == "sent to Grace, 2"
    with pytest.raises(grpc.aio.AioRpcError) as again:
        await server.stub.Decide(pb.DecideRequest(run_id=run_id, call_id="c1", approve=True))
    assert again.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_question_may_begin_a_branch(server: Served):
    """``parent_id`` as over HTTP: a message, the beginning, or not set."""
    first = await server.stub.Start(pb.StartRequest(text="one"))
    server.world.provider.say(e.TextDelta("eins"), e.Finished())
    await server.world.ended(first.run_id)
    for parent, sent in ((first.run_id, ["one", "eins", "two"]), ("", ["two"])):
        request = pb.StartRequest(text="two", conversation_id=first.conversation_id, parent_id=parent)
        begun = await server.stub.Start(request)
        server.world.provider.say(e.Finished())
        await server.world.ended(begun.run_id)
        assert [message.text for message in server.world.provider.requests[-1].messages] == sent


REFUSED = [
    ("Start", pb.StartRequest(), "INVALID_ARGUMENT", "invalid-input"),
    ("Start", pb.StartRequest(text="  "), "INVALID_ARGUMENT", "invalid-input"),
    ("Start", pb.StartRequest(text="x" * 300_000), "INVALID_ARGUMENT", "invalid-input"),
    ("Start", pb.StartRequest(text="hi", model="no:such"), "NOT_FOUND", "not-found"),
    ("Start", pb.StartRequest(text="hi", conversation_id="no-such"), "NOT_FOUND", "not-found"),
    ("Start", pb.StartRequest(text="hi", conversation_id="a\nb"), "INVALID_ARGUMENT", "invalid-input"),
    ("Start", pb.StartRequest(text="hi", options_json="[1]"), "INVALID_ARGUMENT", "invalid-input"),
    ("Start", pb.StartRequest(text="hi", options_json='{"max_tokens": -1}'), "INVALID_ARGUMENT", "invalid-input"),
    ("Start", pb.StartRequest(parts_json="{"), "INVALID_ARGUMENT", "invalid-input"),
    ("Start", pb.StartRequest(parts_json="[" * 100_000), "INVALID_ARGUMENT", "invalid-input"),
    ("Get", pb.GetRequest(run_id="no\0such"), "NOT_FOUND", "not-found"),
    ("Stop", pb.StopRequest(run_id="no-such"), "NOT_FOUND", "not-found"),
    ("Decide", pb.DecideRequest(run_id="no-such", call_id="c"), "NOT_FOUND", "not-found"),
    ("Follow", pb.FollowRequest(run_id="no-such"), "NOT_FOUND", "not-found"),
    ("Follow", pb.FollowRequest(run_id="no-such", after=-1), "INVALID_ARGUMENT", "invalid-input"),
    ("Follow", pb.FollowRequest(run_id="no-such", after=2**62), "INVALID_ARGUMENT", "invalid-input"),
]


@pytest.mark.parametrize(("method", "asked", "code", "kind"), REFUSED, ids=lambda value: str(value)[:40])
async def test_what_is_refused_has_a_sentence_and_a_word(server: Served, method: str, asked, code: str, kind: str):
    """The status of the error's kind, its sentence, its stable word beside it; and the service goes on."""
    with pytest.raises(grpc.aio.AioRpcError) as told:
        call = getattr(server.stub, method)(asked)
        await (call.read() if method == "Follow" else call)
    assert told.value.code().name == code
    assert told.value.details()
    assert dict(told.value.trailing_metadata() or ())["streamchat-kind"] == kind
    assert await server.start()


async def test_what_nobody_foresaw_says_nothing_of_itself(make_server: MakeServer):
    """An internal error is one, without what Python says about it."""

    async def broken(credentials: Credentials) -> Identity:
        raise RuntimeError("a secret")

    async with make_server(identify=broken) as server:
        get, follow = server.stub.Get(pb.GetRequest(run_id="x")), server.stub.Follow(pb.FollowRequest(run_id="x"))
        for call in (get, follow.read()):
            with pytest.raises(grpc.aio.AioRpcError) as told:
                await call
            assert told.value.code() == grpc.StatusCode.INTERNAL
            assert told.value.details() == "Something went wrong on the server."


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("x"), "NOT_FOUND"),
        (InvalidInput("x"), "INVALID_ARGUMENT"),
        (StorageError("x"), "UNAVAILABLE"),
        (ProviderError("x"), "UNAVAILABLE"),
        (TooManyStreams("x"), "RESOURCE_EXHAUSTED"),
        (StreamchatError("x", kind="not-stopped"), "UNAVAILABLE"),
        (StreamchatError("x"), "INTERNAL"),
    ],
)
def test_statuses_follow_those_of_http(error: StreamchatError, code: str):
    """One table for both: what is 404 there is NOT_FOUND here."""
    assert code_of(error).name == code


def test_every_event_has_its_message():
    """The names are those of the wire, with underscores."""
    fields = {field.name for field in pb.Entry.DESCRIPTOR.oneofs_by_name["event"].fields}
    assert fields == {name.replace("-", "_") for name in EVENT_NAMES.values()} | {"snapshot"}
    for event in (
        *SAID,
        e.ToolCallStarted("c", "n", True),
        e.ToolCallArguments("c", "{"),
        e.ToolCallReady("c", {"a": 1}),
        e.ToolProgress("c", "p"),
        e.ToolResult("c", "done", {"x": 1}, None, None, 5),
        e.Waiting(("c",)),
        e.Stopped(1, 2),
        e.Failed("m", retry_after=1.5),
        e.Interrupted(),
    ):
        assert event_pb(1, event).WhichOneof("event") == EVENT_NAMES[type(event)].replace("-", "_")


async def test_a_reader_that_goes_away_ends_its_stream_and_not_the_run(make_server: MakeServer):
    """Its place is free again at once; one over the limit is refused until then."""
    async with make_server(STREAMCHAT_STREAMS_PER_CLIENT="1") as server:
        run_id = await server.start()
        server.world.provider.say(e.TextDelta("a"))
        call = server.stub.Follow(pb.FollowRequest(run_id=run_id))
        await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await server.follow(run_id)
        assert told.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert int(dict(told.value.trailing_metadata() or ())["retry-after"]) > 0
        call.cancel()
        async with asyncio.timeout(20):
            while True:
                again = server.stub.Follow(pb.FollowRequest(run_id=run_id))
                try:
                    assert (await again.read()).text_delta == "a"
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.02)
        server.world.provider.say(e.Finished())
        assert (await again.read()).WhichOneof("event") == "finished"
        assert (await server.world.ended(run_id)).text == "a"


async def test_starts_are_limited(make_server: MakeServer):
    """As over HTTP, with the time to wait in the trailing metadata; nothing is started."""
    async with make_server(STREAMCHAT_STARTS_PER_CLIENT="1") as server:
        await server.start()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.start()
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert 1 <= int(dict(refused.value.trailing_metadata() or ())["retry-after"]) <= 60
        assert len(await server.world.store.conversations("local", limit=10)) == 1


async def test_calls_at_the_same_time_are_limited(make_server: MakeServer):
    """gRPC's own limit, for whatever is called; a call that ends makes room."""
    async with make_server(STREAMCHAT_CONNECTIONS="1") as server:
        run_id = await server.start()
        server.world.provider.say(e.TextDelta("a"))
        call = server.stub.Follow(pb.FollowRequest(run_id=run_id))
        await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.stub.Get(pb.GetRequest(run_id=run_id))
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        call.cancel()
        async with asyncio.timeout(20):
            while True:
                try:
                    assert (await server.stub.Get(pb.GetRequest(run_id=run_id))).run_id == run_id
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.02)


async def test_a_connection_that_says_nothing_is_closed(make_server: MakeServer):
    """One that never begins to speak HTTP/2."""
    async with make_server(STREAMCHAT_REQUEST_TIMEOUT="1") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(20):
            await reader.read()
        writer.close()


async def test_a_reader_that_stalls_slows_nobody(server: Served, monkeypatch: pytest.MonkeyPatch):
    """20 MB for a reader that takes one piece: the run and another reader go on to their end. Little is held for the
    one that stalls; when it reads on, it gets everything."""
    taken: set[int] = set()

    def entry_bytes(entry: Entry) -> bytes:
        taken.add(entry.seq)
        return event_pb(entry.seq, entry.event).SerializeToString()

    pieces, size = 400, 50_000
    run_id = await server.start()
    # A connection of its own, whose client does not ask for more and more ahead the slower its answers come.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=options)
    with monkeypatch.context() as patch:
        patch.setattr(grpc_encoding, "entry_bytes", entry_bytes)
        stalled = RunsStub(channel).Follow(pb.FollowRequest(run_id=run_id))
        server.world.provider.say(e.TextDelta("x" * size))
        await stalled.read()
    other = asyncio.create_task(server.follow(run_id))
    for _ in range(pieces - 1):
        server.world.provider.say(e.TextDelta("x" * size))
        await asyncio.sleep(0)
    server.world.provider.say(e.Finished())
    async with asyncio.timeout(40):
        await server.world.ended(run_id)
        assert sum(len(entry.text_delta) for entry in await other) == pieces * size
    assert max(taken) < 20
    rest = 0
    while (entry := await stalled.read()) is not EOF:
        rest += len(entry.text_delta)
    assert rest == (pieces - 1) * size
    await channel.close()


async def test_silence_is_not_death(server: Served, monkeypatch: pytest.MonkeyPatch):
    """While a model is silent, entries without an event say that the run is alive; their number is the last one."""
    monkeypatch.setattr(reader, "HEARTBEAT_SECONDS", 0.05)
    run_id = await server.start()
    server.world.provider.say(e.TextDelta("a"))
    call = server.stub.Follow(pb.FollowRequest(run_id=run_id))
    first, second, third = [await asyncio.wait_for(call.read(), 20) for _ in range(3)]
    assert (first.seq, first.text_delta) == (1, "a")
    assert [(entry.seq, entry.WhichOneof("event")) for entry in (second, third)] == [(1, None), (1, None)]
    call.cancel()


async def test_the_health_service_answers(server: Served):
    """For the server and for the service; an unknown one is not found."""
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    for name in ("", "streamchat.v1.Runs"):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await stub.Check(health_pb2.HealthCheckRequest(service="other"))
    assert told.value.code() == grpc.StatusCode.NOT_FOUND


def test_where_it_is_off_nothing_of_it_is_loaded():
    """The app does not pay for a port that nobody asked for."""
    program = "import sys, streamchat.web.grpc_server; print(sorted(n for n in sys.modules if n.startswith('grpc')))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.stdout.strip() == "[]", done.stderr


async def followed(call: Any, until: int) -> list[Any]:
    """The events of a conversation, up to so many endings."""
    events = []
    async with asyncio.timeout(60):
        async for event in call:
            events.append(event)
            until -= event.WhichOneof("event") == "entry" and event.entry.WhichOneof("event") in ENDINGS
            if not until:
                break
    call.cancel()
    return events


ENDINGS = {"finished", "stopped", "failed", "interrupted"}


async def test_a_conversation_is_followed_without_knowing_its_runs(server: Served):
    """Questions and answers in their order, those to come too; from each cursor on exactly the rest."""
    begun = await server.stub.Start(pb.StartRequest(text="one?"))
    follow = server.stub.FollowConversation
    call = follow(pb.FollowConversationRequest(conversation_id=begun.conversation_id))
    server.world.provider.say(e.TextDelta("1"), e.Finished())
    await server.world.ended(begun.run_id)
    second = await server.stub.Start(pb.StartRequest(text="two?", conversation_id=begun.conversation_id))
    server.world.provider.say(e.TextDelta("2"), e.Finished())
    events = await followed(call, 2)
    messages = [event.message for event in events if event.WhichOneof("event") == "message"]
    assert [message.message.role for message in messages] == ["user", "assistant", "user", "assistant"]
    assert not messages[0].HasField("parent_id")
    assert messages[1].parent_id == messages[0].message.id
    entries = [event for event in events if event.WhichOneof("event") == "entry"]
    texts = {event.run_id: event.entry.text_delta or event.entry.snapshot.text for event in entries[::2]}
    assert texts == {begun.run_id: "1", second.run_id: "2"}
    for place, event in enumerate(events[:-1]):
        rest = pb.FollowConversationRequest(conversation_id=begun.conversation_id, after=event.cursor)
        got = await followed(follow(rest), sum(one in entries[1::2] for one in events[place + 1 :]))
        assert got[-1].cursor == events[-1].cursor


async def test_a_conversation_that_is_deleted_or_unknown(server: Served):
    """``deleted`` is its last event; a cursor that is none, and a conversation that is not there, are refused."""
    begun = await server.stub.Start(pb.StartRequest(text="one?"))
    server.world.provider.say(e.Finished())
    await server.world.ended(begun.run_id)
    request = pb.FollowConversationRequest(conversation_id=begun.conversation_id)
    call = server.stub.FollowConversation(request)
    assert (await call.read()).message.message.role == "user"
    await server.world.store.delete("local", begun.conversation_id)
    server.world.feed.publish("local", Notification("changed", begun.conversation_id))
    while (event := await call.read()) is not EOF and not event.deleted:
        pass
    assert event.deleted
    assert await call.read() is EOF
    for more, code in (({}, "NOT_FOUND"), ({"after": "x"}, "INVALID_ARGUMENT")):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await server.stub.FollowConversation(
                pb.FollowConversationRequest(conversation_id=begun.conversation_id, **more)
            ).read()
        assert error.value.code().name == code


async def test_followers_of_a_conversation_share_what_is_encoded(server: Served):
    """The same bytes for all: an entry is encoded for the first of them, over each protocol."""
    entry = Entry(1, 0.0, 0, 0, e.TextDelta("x"))
    encoders: list[Any] = [conversation_events.sse_entry, conversation_events.message_entry]
    for encode in (*encoders, grpc_encoding._conversation_entry):
        readers = [encoding.named_entry_cache("run", encode) for _ in range(3)]
        first, *others = [reader(entry) for reader in readers]
        assert all(other is first for other in others)
