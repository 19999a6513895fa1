"""One answer with tools: model, tools, model, until it is done; with a person's word where a tool asks for it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamchat.chat import events as e
from streamchat.chat.messages import Message, NoticePart, ReasoningPart, TextPart, ToolCallPart
from streamchat.chat.request import NewRun, Options, Request, RunOptions, ToolSpec
from streamchat.errors import InvalidInput, NotFound, StorageError
from streamchat.runs import run_task
from streamchat.runs.agent import LEFT_OVER, MAX_PAUSES, MAX_ROUNDS
from streamchat.runs.approvals import Decision
from streamchat.runs.log import Snapshot
from streamchat.runs.tool_rounds import MAX_CALLS
from streamchat.tools.definition import tool
from tests.integration.runs.conftest import World, make_world
from tests.support import reading
from tests.support.storing import sweep

ran: list[str] = []
gate = threading.Event()
together = threading.Barrier(2)


@tool
async def double(number: int) -> int:
    """Twice a number."""
    ran.append(f"double {number}")
    return number * 2


@tool
async def meet(name: str) -> str:
    """Waits for another call of the same tool."""
    await asyncio.to_thread(together.wait, 20)
    return f"met {name}"


@tool
def hang() -> str:
    """Takes long, and blocks."""
    ran.append("hang")
    gate.wait(30)
    return "late"


@tool(approve=True)
async def send(to: str, copies: int = 1) -> str:
    """Something that cannot be taken back."""
    ran.append(f"send {to} {copies}")
    return f"sent to {to}, {copies}"


TOOLS = (double, meet, hang, send)


@pytest.fixture(autouse=True)
def _fresh():
    ran.clear()
    gate.clear()
    yield
    gate.set()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path, tools=TOOLS) as made:
        yield made


def call(call_id: str, name: str, /, **arguments: object) -> list[e.Event]:
    return [e.ToolCallStarted(call_id, name), e.ToolCallReady(call_id, arguments)]


DUE = e.Finished("tool-calls")


def calls(message: Message) -> dict[str, ToolCallPart]:
    return {part.id: part for part in message.parts if isinstance(part, ToolCallPart)}


async def asked_times(world: World, times: int) -> None:
    while len(world.provider.requests) < times:
        await asyncio.sleep(0.005)


async def test_a_call_is_run_and_its_result_goes_back(world: World):
    """One run: the model calls, the tool runs, the model speaks on; the usage is that of both requests."""
    begun = await world.start("twice 21?")
    world.provider.say(e.TextDelta("Wait. "), *call("c1", "double", number=21), e.UsageReported(10, 5), DUE)
    world.provider.say(e.TextDelta("It is 42."), e.UsageReported(20, 7, cached=3), e.Finished())
    message = await world.ended(begun.run_id)
    assert (message.status, message.text, message.stop_reason) == ("finished", "Wait. It is 42.", "stop")
    assert (calls(message)["c1"].state, calls(message)["c1"].result) == ("done", 42)
    assert message.usage == e.UsageReported(30, 12, 3)
    first, second = world.provider.requests
    assert [spec.name for spec in first.tools] == [one.name for one in TOOLS]
    assert second.tools == first.tools
    assert second.messages[-1].role == "assistant"
    assert calls(second.messages[-1])["c1"].result == 42
    entries = await reading.entries(world.log, begun.run_id)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert sum(isinstance(entry.event, e.ENDINGS) for entry in entries) == 1
    assert await world.stored(begun.run_id) == message


async def test_thoughts_go_back_as_they_were_sealed(world: World):
    """What a provider signed or encrypted is stored and sent back with the tool's result, unread and unchanged."""
    begun = await world.start()
    seal = {"anthropic": {"type": "thinking", "signature": "c2ln"}}
    world.provider.say(e.ReasoningDelta("Hm."), e.ReasoningDelta("", seal), *call("c1", "double", number=1), DUE)
    world.provider.say(e.TextDelta("Two."), e.Finished())
    message = await world.ended(begun.run_id)
    thoughts = [part for part in world.provider.requests[1].messages[-1].parts if isinstance(part, ReasoningPart)]
    assert [(part.text, part.opaque) for part in thoughts] == [("Hm.", seal)]
    assert message.text == "Two."
    assert await world.stored(begun.run_id) == message


async def test_parallel_calls_run_at_the_same_time_and_stay_in_order(world: World):
    """Each of the two waits for the other; their results stand where their calls stand."""
    begun = await world.start()
    world.provider.say(*call("c1", "meet", name="one"), *call("c2", "meet", name="two"), DUE)
    world.provider.say(e.TextDelta("Both."), e.Finished())
    message = await world.ended(begun.run_id)
    assert [(part.id, part.result) for part in calls(message).values()] == [("c1", "met one"), ("c2", "met two")]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("no_such_tool", {}, "no tool named"),
        ("double", {"number": "3"}, "number"),
        ("double", {}, "number"),
        ("double", {"number": 1, "more": 2}, "more"),
    ],
)
async def test_what_cannot_be_run_is_told_to_the_model_and_the_stream_goes_on(
    world: World, name: str, arguments: dict, says: str
):
    """An unknown tool and arguments that do not fit are results of their own kind; nothing runs."""
    begun = await world.start()
    world.provider.say(*call("c1", name, **arguments), DUE)
    world.provider.say(e.TextDelta("I see."), e.Finished())
    message = await world.ended(begun.run_id)
    assert (message.status, message.text, ran) == ("finished", "I see.", [])
    assert calls(message)["c1"].state == "invalid"
    assert says in (calls(message)["c1"].error or "")
    assert calls(world.provider.requests[1].messages[-1])["c1"].state == "invalid"


@pytest.mark.parametrize("reason", ["length", "content-filter", "refusal", "stop"])
async def test_tools_run_only_where_the_stop_reason_says_so(world: World, reason: str):
    """Arguments that look whole are not run where the answer was cut; the person sees that the call did not run."""
    begun = await world.start()
    world.provider.say(*call("c1", "double", number=1), e.Finished(reason))
    message = await world.ended(begun.run_id)
    assert (ran, calls(message)["c1"].state, calls(message)["c1"].error) == ([], "stopped", LEFT_OVER)
    assert (message.stop_reason, len(world.provider.requests)) == (reason, 1)


async def test_rounds_are_bounded(world: World):
    """A model that calls for ever is ended, with its own reason and an offer to go on."""
    begun = await world.start()
    for number in range(MAX_ROUNDS + 3):
        world.provider.say(*call(f"c{number}", "double", number=number), DUE)
    message = await world.ended(begun.run_id)
    assert (message.stop_reason, len(world.provider.requests)) == ("tool-rounds", MAX_ROUNDS)
    assert {part.state for part in calls(message).values()} == {"done", "stopped"}


async def test_more_calls_than_anybody_needs_are_not_obeyed(world: World):
    """A provider that sends a flood of calls gets some of them run, and is told of the others."""
    begun = await world.start()
    flood = [event for number in range(MAX_CALLS + 5) for event in call(f"c{number}", "double", number=number)]
    world.provider.say(*flood, DUE)
    world.provider.say(e.Finished())
    message = await world.ended(begun.run_id)
    assert len(ran) == MAX_CALLS
    assert sum(part.state == "invalid" for part in calls(message).values()) == 5


async def test_all_rounds_together_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch):
    """Rounds that are each within their limits end as *interrupted* when their sum is not; what came is kept."""
    monkeypatch.setattr(run_task, "MAX_RUN_CHARACTERS", 25_000)
    begun = await world.start("go on")
    for number in range(3):
        world.provider.say(e.TextDelta("x" * 10_000), *call(f"c{number}", "double", number=1), DUE)
    message = await world.ended(begun.run_id)
    assert (message.status, message.error and message.error.kind) == ("interrupted", "too-long")
    assert message.text == "x" * 20_000
    assert world.provider.closed == len(world.provider.requests) == 3
    assert await world.stored(begun.run_id) == message


async def test_a_pause_is_sent_back_as_it_is(world: World):
    """The provider paused: the same answer goes on with what there is, a bounded number of times."""
    begun = await world.start()
    for _ in range(MAX_PAUSES + 1):
        world.provider.say(e.TextDelta("a "), e.Finished("pause"))
    message = await world.ended(begun.run_id)
    assert (message.stop_reason, message.text) == ("pause", "a " * (MAX_PAUSES + 1))
    assert {request.messages[-1].stop_reason for request in world.provider.requests[1:]} == {"pause"}


async def test_stop_in_a_running_tool(world: World):
    """Stop does not wait for a tool that blocks; its call is *stopped*, and the model is not asked again."""
    begun = await world.start()
    world.provider.say(*call("c1", "hang"), DUE)
    while not ran:
        await asyncio.sleep(0.005)
    await asyncio.wait_for(world.runs.cancel("local", begun.run_id), 5)
    message = await world.stored(begun.run_id)
    assert (message.status, calls(message)["c1"].state) == ("stopped", "stopped")
    assert len(world.provider.requests) == 1


async def test_that_a_tool_runs_is_stored_before_it_does(tmp_path: Path):
    """A server that is killed the moment a tool has begun leaves *running* behind, from which *unknown* is made; with
    a database that takes nothing, nothing is run."""
    found: list[str] = []

    @tool
    def look() -> str:
        """Looks at what is stored of its own call."""
        with closing(sqlite3.connect(tmp_path / "chat.db")) as database:
            pieces = database.execute("select events from message_piece").fetchall()
        events = [event for (piece,) in pieces for event in json.loads(piece)]
        found.extend(event["call_id"] for event in events if event["type"] == "tool-progress")
        return "seen"

    async with make_world(tmp_path, tools=[look]) as world:
        begun = await world.start()
        world.provider.say(*call("c1", "look"), *call("c2", "look"), DUE)
        world.provider.say(e.Finished())
        message = await world.ended(begun.run_id)
        assert [part.result for part in calls(message).values()] == ["seen", "seen"]
        assert set(found) == {"c1", "c2"}
        other = await world.start("again")
        with closing(sqlite3.connect(tmp_path / "chat.db", isolation_level=None)) as locked:
            locked.execute("begin immediate")
            world.provider.say(*call("c1", "look"), DUE)
            world.provider.say(e.Finished())
            await asked_times(world, 4)
            locked.execute("rollback")
        assert calls(await world.ended(other.run_id))["c1"].state == "error"
        assert len(found) == 4


# A person's word


async def waiting(world: World, *more: e.Event) -> str:
    """A run that waits for a decision about ``c1``, a call of ``send``."""
    begun = await world.start("please send it")
    world.provider.say(e.TextDelta("Sending. "), *call("c1", "send", to="Ada"), *more, DUE)
    await world.reached(begun.run_id, "waiting")
    return begun.run_id


async def test_a_call_that_asks_parks_the_run(world: World):
    """Nothing runs, no task is left, no sweep ends it, and other calls of the same round were run."""
    run_id = await waiting(world, *call("c2", "double", number=4))
    message = await world.stored(run_id)
    assert (message.status, ran) == ("waiting", ["double 4"])
    assert [part.state for part in calls(message).values()] == ["awaiting-approval", "done"]
    assert world.runs.active_ids() == []

    assert await sweep(world.store, -86400, "gone") == []
    with pytest.raises(InvalidInput, match="decision"):
        await world.start("another", conversation_id=(await world.store.answer("local", run_id)).conversation_id)


@pytest.mark.parametrize(("arguments", "does"), [(None, "send Ada 1"), ({"to": "Grace", "copies": 2}, "send Grace 2")])
async def test_approval_goes_on_with_the_next_seq(world: World, arguments: dict | None, does: str):
    """After the decision the run goes on, for the reader that was there all the time too; changed arguments are what
    runs, what is stored, and what the model is told."""
    run_id = await waiting(world)
    before = world.log.snapshot(run_id).seq
    seqs: list[int] = []

    async def read() -> None:
        async for batch in reading.batches(world.log, run_id, before):
            assert not isinstance(batch, Snapshot)
            seqs.extend(entry.seq for entry in batch)

    reader = asyncio.create_task(read())
    await world.runs.decide("local", run_id, "c1", Decision(True, arguments))
    world.provider.say(e.TextDelta("Sent."), e.Finished())
    message = await world.ended(run_id)
    await asyncio.wait_for(reader, 10)
    assert ran == [does]
    assert (message.status, message.text) == ("finished", "Sending. Sent.")
    assert seqs == list(range(before + 1, before + 1 + len(seqs)))
    told = calls(world.provider.requests[1].messages[-1])["c1"]
    assert (told.state, dict(told.arguments or {})) == ("done", arguments or {"to": "Ada", "copies": 1})


async def test_a_denial_and_its_reason_are_told(world: World):
    """Denied is a state of its own; the model hears why, and nothing ran."""
    run_id = await waiting(world)
    await world.runs.decide("local", run_id, "c1", Decision(False, reason="not today"))
    world.provider.say(e.TextDelta("I see."), e.Finished())
    message = await world.ended(run_id)
    assert (ran, message.status, calls(message)["c1"].state) == ([], "finished", "denied")
    assert "not today" in (calls(world.provider.requests[1].messages[-1])["c1"].error or "")


async def test_always_holds_in_this_conversation_only(world: World):
    """The next call of the same tool runs without asking here, and asks in another conversation."""
    run_id = await waiting(world)
    await world.runs.decide("local", run_id, "c1", Decision(True, always=True))
    world.provider.say(*call("c2", "send", to="Bob"), DUE)
    world.provider.say(e.Finished())
    await world.ended(run_id)
    assert ran == ["send Ada 1", "send Bob 1"]
    other = await waiting(world)
    assert calls(await world.stored(other))["c1"].state == "awaiting-approval"
    assert len(ran) == 2


async def test_the_run_goes_on_when_all_is_decided(world: World):
    """Two calls ask; after the first decision it still waits, in any order; each decision counts once."""
    run_id = await waiting(world, *call("c2", "send", to="Bob"))
    await world.runs.decide("local", run_id, "c2", Decision(True))
    assert (await world.stored(run_id)).status == "waiting"
    with pytest.raises(InvalidInput):
        await world.runs.decide("local", run_id, "c2", Decision(False))
    await world.runs.decide("local", run_id, "c1", Decision(False))
    world.provider.say(e.Finished())
    message = await world.ended(run_id)
    assert (ran, message.status) == (["send Bob 1"], "finished")
    with pytest.raises(InvalidInput, match="does not wait"):
        await world.runs.decide("local", run_id, "c1", Decision(True))


async def test_two_who_decide_at_once(world: World):
    """Of two decisions about the same call one holds, and the tool runs at most once."""
    run_id = await waiting(world)
    decisions = [Decision(True), Decision(False), Decision(True)]
    told = await asyncio.gather(
        *(world.runs.decide("local", run_id, "c1", decision) for decision in decisions), return_exceptions=True
    )
    assert sum(one is None for one in told) == 1
    assert all(one is None or isinstance(one, InvalidInput) for one in told)
    world.provider.say(e.Finished())
    await world.ended(run_id)
    assert len(ran) <= 1


async def test_bad_decisions_change_nothing(world: World):
    """Arguments that do not fit, an unknown call, somebody else's run: refused, and it still waits."""
    run_id = await waiting(world)
    with pytest.raises(InvalidInput, match="copies"):
        await world.runs.decide("local", run_id, "c1", Decision(True, {"to": "Ada", "copies": "many"}))
    with pytest.raises(NotFound):
        await world.runs.decide("local", run_id, "c9", Decision(True))
    with pytest.raises(NotFound):
        await world.runs.decide("somebody", run_id, "c1", Decision(True))
    assert ((await world.stored(run_id)).status, ran) == ("waiting", [])


async def test_a_waiting_run_survives_a_restart(tmp_path: Path):
    """The process is gone: a new one, with an empty log, goes on from what is stored, the system prompt included."""
    async with make_world(tmp_path, tools=TOOLS) as world:
        begun = await world.runs.start(
            "local",
            NewRun(
                client_message_id="a",
                parts=(TextPart("send"),),
                model=world.model,
                options=RunOptions(system="Be brief.", options=Options(temperature=0.5)),
            ),
        )
        world.provider.say(*call("c1", "send", to="Ada"), e.UsageReported(1, 2), DUE)
        await world.reached(begun.run_id, "waiting")
        seq = world.log.snapshot(begun.run_id).seq
    async with make_world(tmp_path, tools=TOOLS) as world:
        assert (await world.stored(begun.run_id)).status == "waiting"
        await world.runs.decide("local", begun.run_id, "c1", Decision(True))
        world.provider.say(e.TextDelta("Done."), e.UsageReported(10, 20), e.Finished())
        message = await world.ended(begun.run_id)
        assert (ran, message.status, message.text) == (["send Ada 1"], "finished", "Done.")
        assert message.usage == e.UsageReported(11, 22)
        assert world.log.entries_after(begun.run_id, seq + 1) != []
        (request,) = world.provider.requests
        assert (request.system, request.options.temperature) == ("Be brief.", 0.5)
        assert [m.role for m in request.messages] == ["user", "assistant"]


@pytest.mark.parametrize("restarted", [False, True])
async def test_stop_while_it_waits(tmp_path: Path, restarted: bool):
    """Stop ends a run that waits, also one that no process knows any more; deciding is too late then."""
    async with make_world(tmp_path, tools=TOOLS) as world:
        run_id = await waiting(world)
        if not restarted:
            await world.runs.cancel("local", run_id)
    async with make_world(tmp_path, tools=TOOLS) as world:
        await world.runs.stop("local", (await world.store.answer("local", run_id)).conversation_id)
        await world.runs.cancel("local", run_id)
        message = await world.stored(run_id)
        assert (message.status, calls(message)["c1"].state) == ("stopped", "stopped")
        with pytest.raises(InvalidInput):
            await world.runs.decide("local", run_id, "c1", Decision(True))
        assert ran == []


@pytest.mark.parametrize("again", [True, False])
async def test_what_was_in_flight_in_a_crash_is_the_persons_to_decide(world: World, again: bool):
    """The server went down while a tool ran: nobody knows whether it had its effect. Continue asks, and only a yes
    runs it again; a call that has a result is never run twice."""
    begun = await world.start()
    world.provider.say(*call("c1", "double", number=5), DUE)
    world.provider.say(*call("c2", "hang"), DUE)
    while "hang" not in ran:
        await asyncio.sleep(0.005)
    await world.runs.close()
    message = await world.stored(begun.run_id)
    assert (message.status, [p.state for p in calls(message).values()]) == ("interrupted", ["done", "unknown"])
    gate.set()
    follower = await world.runs.retry(
        "local", message_id=begun.run_id, client_message_id="again", model=world.model, continue_partial=True
    )
    await world.reached(follower.run_id, "waiting")
    assert ran == ["double 5", "hang"]
    world.provider.say(e.TextDelta("On."), e.Finished())
    await world.runs.decide("local", follower.run_id, "c2", Decision(again))
    message = await world.ended(follower.run_id)
    assert ran == (["double 5", "hang", "hang"] if again else ["double 5", "hang"])
    assert [p.state for p in calls(message).values()] == ["done", "done" if again else "denied"]
    assert message.status == "finished"


async def test_a_call_that_was_only_ready_is_not_taken_for_an_approved_one(world: World):
    """Continue after Stop: what had not run yet does not run now without the model asking for it."""
    begun = await world.start()
    world.provider.say(e.TextDelta("Hm. "), *call("c1", "send", to="Ada"))
    while "c1" not in calls(world.log.snapshot(begun.run_id).message):
        await asyncio.sleep(0.005)
    await world.runs.cancel("local", begun.run_id)
    world.provider.queue = asyncio.Queue()
    follower = await world.runs.retry(
        "local", message_id=begun.run_id, client_message_id="again", model=world.model, continue_partial=True
    )
    world.provider.say(e.TextDelta("On."), e.Finished())
    message = await world.ended(follower.run_id)
    assert (ran, calls(message)["c1"].state, message.status) == ([], "stopped", "finished")
    assert any(isinstance(part, NoticePart) and part.kind == "continued" for part in message.parts)


async def test_stop_while_the_providers_connection_closes(tmp_path: Path):
    """The model has called a tool, and its connection takes a while to close: a Stop there holds, and nothing runs."""
    async with make_world(tmp_path, tools=TOOLS) as world:
        closing, closed = asyncio.Event(), asyncio.Event()
        stream = world.provider.stream

        async def slow(request: Request) -> AsyncGenerator[e.Event, None]:
            try:
                async for event in stream(request):
                    yield event
            finally:
                closing.set()
                while not closed.is_set():  # as an HTTP client does, whoever cancels it
                    with suppress(asyncio.CancelledError):
                        await closed.wait()

        world.provider.stream = slow
        begun = await world.start()
        world.provider.say(*call("c1", "double", number=5), DUE)
        await closing.wait()
        stop = asyncio.create_task(world.runs.cancel("local", begun.run_id))
        await asyncio.sleep(0.05)
        closed.set()
        world.provider.say(e.TextDelta("On."), e.Finished())
        await asyncio.wait_for(stop, 20)
        assert ((await world.stored(begun.run_id)).status, ran) == ("stopped", [])


# The end of whoever asked


@pytest.mark.parametrize("step", ["move_on", "choose"])
async def test_a_decision_comes_to_its_end_without_whoever_made_it(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
):
    """A client that goes away while its decision is stored cuts off nothing: the run goes on."""
    run_id = await waiting(world)
    world.provider.say(e.TextDelta("On."), e.Finished())
    await cancelled_in(monkeypatch, world, step, world.runs.decide("local", run_id, "c1", Decision(True, always=True)))
    message = await asyncio.wait_for(world.ended(run_id), 20)
    assert (message.status, ran) == ("finished", ["send Ada 1"])


async def test_a_start_comes_to_its_end_without_whoever_asked(world: World, monkeypatch: pytest.MonkeyPatch):
    """A client that goes away while its question is stored has begun an answer, which is written."""
    world.provider.say(e.TextDelta("On."), e.Finished())
    await cancelled_in(monkeypatch, world, "begin", world.start(client_id="one"))
    begun = await world.start(client_id="one")
    message = await asyncio.wait_for(world.reached(begun.run_id, "finished"), 20)
    assert (message.text, begun.created) == ("On.", False)


async def cancelled_in(monkeypatch: pytest.MonkeyPatch, world: World, step: str, call: Coroutine) -> None:
    """Make this call, whose caller goes away when the database has done this step of it."""
    does, calling = getattr(world.store, step), asyncio.create_task(call)

    async def done(*args: Any, **more: Any) -> Any:
        result = await does(*args, **more)
        if calling.cancel():
            await asyncio.sleep(0)
        return result

    monkeypatch.setattr(world.store, step, done)
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_a_choice_that_cannot_be_stored_holds_up_no_run(world: World, monkeypatch: pytest.MonkeyPatch):
    """The decision holds, and whoever made it hears that only the rest of it was not kept."""
    run_id = await waiting(world)

    async def fail(*_args: Any, **_more: Any) -> None:
        raise StorageError("The database is locked.")

    monkeypatch.setattr(world.store, "choose", fail)
    world.provider.say(e.TextDelta("On."), e.Finished())
    with pytest.raises(StorageError):
        await world.runs.decide("local", run_id, "c1", Decision(True, always=True))
    message = await asyncio.wait_for(world.ended(run_id), 20)
    assert (message.status, ran) == ("finished", ["send Ada 1"])


async def test_stop_while_a_decision_is_carried_out(world: World, monkeypatch: pytest.MonkeyPatch):
    """The run goes on in a moment; a Stop that comes before that stops it all the same."""
    run_id = await waiting(world)
    does, stored = world.store.choose, asyncio.Event()

    async def slow(*args: Any, **more: Any) -> None:
        stored.set()
        await asyncio.sleep(0.2)
        await does(*args, **more)

    monkeypatch.setattr(world.store, "choose", slow)
    deciding = asyncio.create_task(world.runs.decide("local", run_id, "c1", Decision(True, always=True)))
    await stored.wait()
    await asyncio.wait_for(world.runs.cancel("local", run_id), 20)
    assert (await world.stored(run_id)).status == "stopped"
    await deciding


# A client's own tools


async def test_a_clients_tools_are_returned_to_it_and_never_run(world: World):
    """Offered instead of ours, also where one has the name of ours; the run ends with the calls, ready."""
    begun = await world.runs.start(
        "local",
        NewRun(
            client_message_id="a",
            parts=(TextPart("send"),),
            model=world.model,
            options=RunOptions(tools=(ToolSpec("send", "theirs", {"type": "object"}),)),
        ),
    )
    world.provider.say(*call("c1", "send", to="Ada"), DUE)
    message = await world.ended(begun.run_id)
    assert [spec.description for spec in world.provider.requests[0].tools] == ["theirs"]
    assert (message.stop_reason, calls(message)["c1"].state, ran) == ("tool-calls", "ready", [])


async def test_a_clients_history_and_results(world: World):
    """A client that keeps the conversation itself sends it along: it is stored, and the answer goes on from the
    client's results. What it calls ready is not run for it."""
    result = ToolCallPart("c1", "send", arguments={"to": "Ada"}, state="done", result="sent")
    history = [
        Message("x", "user", (TextPart("hi"),)),
        Message("y", "assistant", (TextPart("ho"),)),
        Message("z", "user", (TextPart("send it"),)),
    ]
    new = NewRun(
        client_message_id="a",
        model=world.model,
        history=history,
        prefix=[result, replace(result, id="c2", state="ready", result=None)],
        options=RunOptions(tools=(ToolSpec("send", "theirs", {"type": "object"}),)),
    )
    begun = await world.runs.start("local", new)
    world.provider.say(e.TextDelta("It is sent."), e.Finished())
    message = await world.ended(begun.run_id)
    assert (message.text, ran, calls(message)["c2"].state) == ("It is sent.", [], "stopped")
    (request,) = world.provider.requests
    assert [m.role for m in request.messages] == ["user", "assistant", "user", "assistant"]
    stored = await world.store.conversation("local", begun.conversation_id)
    assert [m.text for m in stored.messages] == ["hi", "ho", "send it", "It is sent."]
    assert stored.title == "hi"
