"""Who holds a run decides what stop, a decision and Continue do: every holder, every one of them, on real workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from streamchat.chat.events import Finished, TextDelta, ToolCallReady, ToolCallStarted
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import InvalidInput, NotFound
from streamchat.runs.approvals import Decision
from streamchat.runs.ownership import Elsewhere, Ended, Here, Holder, Nobody, WaitingForApproval
from streamchat.storage import Begun, Storage
from tests.integration.runs.conftest import make_world
from tests.integration.runs.test_workers import Worker, two
from tests.integration.runs.two_workers import until

__all__ = ["two"]

YES = Decision(approve=True)


async def reached(which: Worker, run_id: str, status: str) -> None:
    async with asyncio.timeout(20):
        while (await which.store.answer("local", run_id)).message.status != status:
            await asyncio.sleep(0.005)


async def begun_by(which: Worker) -> str:
    run_id = (await which.start()).run_id
    which.provider.say(TextDelta("half"))
    await until(lambda: which.engine.log.snapshot(run_id).message.text == "half")
    await which.engine.log.publisher.sent(20)
    return run_id


async def here(one: Worker, other: Worker) -> str:
    return await begun_by(one)


async def elsewhere(one: Worker, other: Worker) -> str:
    return await begun_by(other)


async def waiting(one: Worker, other: Worker) -> str:
    """It began to wait on the other worker."""
    run_id = (await other.start()).run_id
    other.provider.say(ToolCallStarted("c", "send"), ToolCallReady("c", {"to": "Ada"}), Finished("tool-calls"))
    await reached(other, run_id, "waiting")
    return run_id


async def nobody(one: Worker, other: Worker) -> str:
    """A row of this worker's name without a task: what its process left behind when it died."""
    new = NewRun(client_message_id="left", model="fake:one", parts=(TextPart("hi"),))
    return (await one.store.begin("local", new, worker="one")).run_id


async def ended(one: Worker, other: Worker) -> str:
    run_id = await begun_by(one)
    one.provider.say(Finished("length"))
    await reached(one, run_id, "finished")
    while one.runs.active(run_id):  # it is stored before its task is through
        await asyncio.sleep(0)
    return run_id


STATES: dict[Callable[[Worker, Worker], Awaitable[str]], type] = {
    here: Here,
    waiting: WaitingForApproval,
    elsewhere: Elsewhere,
    nobody: Nobody,
    ended: Ended,
}


async def cancel(one: Worker, run_id: str) -> object:
    await one.runs.cancel("local", run_id)
    return (await one.store.answer("local", run_id)).message.status


async def decide(one: Worker, run_id: str) -> object:
    try:
        await one.runs.decide("local", run_id, "c", YES)
    except InvalidInput:
        return InvalidInput
    return (await one.store.answer("local", run_id)).message.status


async def go_on(one: Worker, run_id: str) -> object:
    try:
        new = await one.runs.retry(
            "local", message_id=run_id, client_message_id="again", model="fake:one", continue_partial=True
        )
    except InvalidInput:
        return InvalidInput
    return new.answer.text


# What each of them does on the first worker: the status afterwards, the refusal, or the text that it goes on from.
TABLE = {
    (here, cancel): "stopped",
    (here, decide): InvalidInput,
    (here, go_on): InvalidInput,
    (waiting, cancel): "stopped",
    (waiting, decide): "streaming",
    (waiting, go_on): InvalidInput,
    (elsewhere, cancel): "stopped",
    (elsewhere, decide): InvalidInput,
    (elsewhere, go_on): InvalidInput,
    (nobody, cancel): "stopped",
    (nobody, decide): InvalidInput,
    (nobody, go_on): InvalidInput,
    (ended, cancel): "finished",
    (ended, decide): InvalidInput,
    (ended, go_on): "half",
}


@pytest.mark.parametrize(("state", "action"), TABLE, ids=lambda value: value.__name__)
async def test_what_is_done_follows_from_the_holder(two: tuple[Worker, Worker], state, action):
    """Stop is for what has not ended, whoever holds it; a decision for what waits, Continue for what has ended."""
    one, other = two
    run_id = await state(one, other)
    assert isinstance(await one.runs.holder_of("local", run_id), STATES[state])
    assert await action(one, run_id) == TABLE[state, action]


@pytest.mark.parametrize("state", STATES, ids=lambda value: value.__name__)
async def test_another_person_finds_no_run(two: tuple[Worker, Worker], state):
    """Whoever holds it: for somebody else it does not exist."""
    one, other = two
    run_id = await state(one, other)
    for call in (
        one.runs.holder_of("bert", run_id),
        one.runs.cancel("bert", run_id),
        one.runs.decide("bert", run_id, "c", YES),
        one.runs.retry("bert", message_id=run_id, client_message_id="b", model="fake:one", continue_partial=True),
    ):
        with pytest.raises(NotFound):
            await call


async def test_the_holder_of_a_remote_run_has_a_name(two: tuple[Worker, Worker]):
    """It is that of the worker that took the decision, wherever the run began."""
    one, other = two
    run_id = await waiting(other, one)
    await other.runs.decide("local", run_id, "c", YES)
    assert await one.runs.holder_of("local", run_id) == Elsewhere("two")


async def test_stop_reaches_a_run_that_is_about_to_begin(tmp_path: Path):
    """Its row is stored and its task is not there yet: stop waits for the task, and stops it."""
    stored, go = asyncio.Event(), asyncio.Event()

    class Slow(Storage):
        async def begin(self, owner: str, new: NewRun, *, worker: str, exclusive: bool = False) -> Begun:
            begun = await super().begin(owner, new, worker=worker, exclusive=exclusive)
            stored.set()
            await go.wait()
            return begun

    async with make_world(tmp_path) as world:
        slow = Slow(f"sqlite:///{tmp_path / 'chat.db'}")
        await slow.open()
        world.runs._store = slow
        starting = asyncio.create_task(world.start())
        await stored.wait()
        (row,) = await world.store.answering("local")
        holder: Holder = await world.runs.holder_of("local", row.run_id)
        assert holder == Nobody()
        stopping = asyncio.create_task(world.runs.stop("local", row.conversation_id))
        asyncio.get_running_loop().call_later(0.05, go.set)
        await asyncio.gather(starting, stopping)
        assert (await world.stored(row.run_id)).status == "stopped"
        await world.runs.close()
        await slow.close()
