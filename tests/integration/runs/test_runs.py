"""Start, cancel, endings, idempotency: a run owns its answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamchat.chat.events import ENDINGS, Finished, TextDelta, UsageReported
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import InvalidInput, NotFound, ProviderError, StreamBroken
from streamchat.runs.coalesce import Deadlines
from streamchat.runs.notifications import Notification
from streamchat.runs.retries import Policy
from tests.integration.runs.conftest import World, make_world
from tests.support import reading


async def test_an_answer_is_logged_folded_and_stored_alike(world: World):
    """The log, its fold and the database have the same answer, finished by the provider's word."""
    begun = await world.start("hi")
    world.provider.say(TextDelta("Hello "), TextDelta("you."), UsageReported(3, 2), Finished("stop"))
    message = await world.ended(begun.run_id)
    assert (message.text, message.status, message.stop_reason) == ("Hello you.", "finished", "stop")
    assert message.usage == UsageReported(3, 2)
    assert await world.stored(begun.run_id) == message
    assert [m.text for m in world.provider.requests[0].messages] == ["hi"]


async def test_the_provider_is_asked_before_the_readers_are_told(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """What they do then would keep the request waiting; and the tools' settings came with the question."""
    async with make_world(tmp_path, tools=[]) as world:
        told: list[tuple[str, int]] = []
        publish, reads = world.runs.feed.publish, []

        def noted(owner: str, note: Notification) -> None:
            told.append((note.kind, len(world.provider.requests)))
            publish(owner, note)

        async def choices(*how: Any) -> Any:
            reads.append(how)

        monkeypatch.setattr(world.runs.feed, "publish", noted)
        monkeypatch.setattr(world.store, "choices", choices)
        begun = await world.start("hi")
        world.provider.say(TextDelta("Hello."), Finished())
        await world.ended(begun.run_id)
        again = await world.runs.retry(
            "local", message_id=begun.run_id, client_message_id="2", model=world.model, continue_partial=False
        )
        world.provider.say(TextDelta("Hello."), Finished())
        await world.ended(again.run_id)
        assert [asked for kind, asked in told if kind == "started"] == [1, 2]
        assert reads == []


@pytest.mark.parametrize(
    ("last", "status", "kind"),
    [
        (None, "interrupted", "cut"),
        (StreamBroken("The connection was reset.", kind="reset"), "interrupted", "reset"),
        (ProviderError("The provider is overloaded.", kind="overloaded"), "failed", "overloaded"),
        (RuntimeError("sk-secret"), "failed", "internal"),
    ],
)
async def test_every_end_has_its_status_and_keeps_the_partial(world: World, last, status, kind, caplog):
    """Nothing reads as finished that the provider did not finish; what had arrived is kept; no secret is shown."""
    begun = await world.start()
    world.provider.say(TextDelta("Half an ans"), last)
    message = await world.ended(begun.run_id)
    assert (message.status, message.text) == (status, "Half an ans")
    assert message.error
    assert message.error.kind == kind
    assert "sk-secret" not in message.error.message
    assert await world.stored(begun.run_id) == message
    assert sum(isinstance(entry.event, ENDINGS) for entry in await _all(world, begun.run_id)) == 1


async def test_stop_closes_the_provider_and_keeps_the_partial(world: World):
    """Stop ends in *stopped*, twice is the same as once, and nothing is stored after it."""
    begun = await world.start()
    world.provider.say(TextDelta("one "), TextDelta("two "))
    while not world.log.snapshot(begun.run_id).seq:
        await asyncio.sleep(0.001)
    await asyncio.gather(*(world.runs.cancel("local", begun.run_id) for _ in range(3)))
    assert world.provider.closed == 1
    message = await world.stored(begun.run_id)
    assert (message.status, message.text) == ("stopped", "one two ")
    world.provider.say(TextDelta("late"))
    await world.runs.cancel("local", begun.run_id)
    await asyncio.sleep(0.1)
    assert await world.stored(begun.run_id) == message


async def test_stop_leaves_what_follows_the_answer(world: World):
    """The message that a person sent with "Now" is answered, though it begins while the answer before it is stopped."""
    first = await world.start()
    stopping = asyncio.create_task(world.runs.stop_seen("local", [first.run_id, "gone"]))
    await world.ended(first.run_id)
    following = await world.start(conversation_id=first.conversation_id)
    await stopping
    assert (await world.stored(first.run_id)).status == "stopped"
    assert (await world.stored(following.run_id)).status == "streaming"
    await world.runs.stop_seen("local", [following.run_id], waiting_only=True)
    assert (await world.stored(following.run_id)).status == "streaming"
    await world.runs.stop("local", first.conversation_id)
    assert (await world.stored(following.run_id)).status == "stopped"


async def test_stop_before_the_first_step_of_the_task(world: World):
    """A run that is stopped in the same breath as it starts still gets its ending."""
    begun = await world.start()
    await asyncio.wait_for(world.runs.cancel("local", begun.run_id), 5)
    assert (await world.ended(begun.run_id)).status == "stopped"


async def test_stop_between_commit_and_task_stops(world: World, monkeypatch: pytest.MonkeyPatch):
    """The answer is stored, so that any page can stop it, but its task has not begun: Stop waits for the task."""
    committed, proceed = asyncio.Event(), asyncio.Event()
    begin = world.store.begin

    async def begin_slowly(*args: Any, **more: Any) -> Any:
        begun = await begin(*args, **more)
        committed.set()
        await proceed.wait()
        return begun

    monkeypatch.setattr(world.store, "begin", begin_slowly)
    starting = asyncio.create_task(world.start())
    await committed.wait()
    (row,) = await world.store.answering("local")
    stopping = asyncio.create_task(world.runs.cancel("local", row.run_id))
    await world.store.answering("local")
    assert not stopping.done()
    proceed.set()
    begun = await starting
    await stopping
    assert (await world.ended(begun.run_id)).status == "stopped"
    assert (await world.store.answer("local", begun.run_id)).message.status == "stopped"


async def test_one_client_message_is_one_run(world: World):
    """A double click, a retry after a time-out and a second tab get the same run and one call of the provider."""
    starts = [world.start("hi", client_id="same") for _ in range(10)]
    begun = await asyncio.gather(*starts)
    again = await world.start("hi", client_id="same", conversation_id=begun[0].conversation_id)
    assert len({b.run_id for b in [*begun, again]}) == 1
    world.provider.say(Finished())
    await world.ended(begun[0].run_id)
    assert len(world.provider.requests) == 1
    assert len((await world.store.conversation("local", begun[0].conversation_id)).messages) == 2


async def test_one_answer_at_a_time(world: World):
    """A second message while an answer is being written is refused with a sentence, and nothing is stored."""
    begun = await world.start()
    with pytest.raises(InvalidInput, match="still being written"):
        await world.start("another", conversation_id=begun.conversation_id)
    world.provider.say(Finished())
    await world.ended(begun.run_id)
    assert len((await world.store.conversation("local", begun.conversation_id)).messages) == 2


async def test_the_partial_is_stored_while_it_streams(world: World):
    """The database has the text long before the end."""
    begun = await world.start()
    world.provider.say(TextDelta("early words"))
    async with asyncio.timeout(5):
        while (await world.stored(begun.run_id)).text != "early words":
            await asyncio.sleep(0.01)
    assert (await world.stored(begun.run_id)).status == "streaming"


async def test_closing_the_server_interrupts_and_stores(world: World):
    """A shutdown keeps what had arrived, as *interrupted*."""
    begun = await world.start()
    world.provider.say(TextDelta("partial"))
    while not world.log.snapshot(begun.run_id).seq:
        await asyncio.sleep(0.001)
    await world.runs.close()
    message = await world.stored(begun.run_id)
    assert (message.status, message.text) == ("interrupted", "partial")


async def test_silence_interrupts(tmp_path):
    """A provider that falls silent is cut off at the idle deadline, and its connection closed."""
    async with make_world(tmp_path, Policy(deadlines=Deadlines(idle=0.05))) as world:
        begun = await world.start()
        world.provider.say(TextDelta("partial"))
        message = await world.ended(begun.run_id)
        assert (message.status, message.error and message.error.kind) == ("interrupted", "stall")
        assert world.provider.closed == 1


async def test_readers_see_the_same_and_do_not_own_the_run(world: World):
    """Two readers get the same entries; one that leaves changes nothing."""
    begun = await world.start()
    leaving = reading.batches(world.log, begun.run_id)
    world.provider.say(TextDelta("a"))
    await anext(leaving)
    await leaving.aclose()
    reader = asyncio.create_task(_all(world, begun.run_id))
    world.provider.say(TextDelta("b"), Finished())
    assert await reader == await _all(world, begun.run_id)
    assert (await world.stored(begun.run_id)).text == "ab"


async def test_retry_and_continue_are_new_runs(world: World):
    """Retry answers the same message anew; Continue begins with the kept text and a notice."""
    begun = await world.start("question")
    world.provider.say(TextDelta("half"), None)
    await world.ended(begun.run_id)
    for keep, expected in ((False, "fresh"), (True, "halffresh")):
        again = await world.runs.retry(
            "local",
            message_id=begun.run_id,
            client_message_id=f"again-{keep}",
            model=world.model,
            continue_partial=keep,
        )
        world.provider.say(TextDelta("fresh"), Finished())
        message = await world.ended(again.run_id)
        assert message.text == expected
        assert again.run_id != begun.run_id
    assert (await world.stored(begun.run_id)).status == "interrupted"
    assert [m.text for m in world.provider.requests[-1].messages] == ["question", "half"]


@pytest.mark.parametrize("text", ["", " \n\t", "x" * 200_001])
async def test_bad_messages_are_refused_and_store_nothing(world: World, text):
    """Empty and oversized messages get a sentence."""
    with pytest.raises(InvalidInput):
        await world.start(text)
    assert await world.store.conversations("local") == []


async def test_unknown_things_are_not_found(world: World):
    """Unknown models, conversations and runs are errors with a sentence."""
    with pytest.raises(NotFound, match="no model named"):
        await world.runs.start("local", NewRun(client_message_id="c", parts=(TextPart("hi"),), model="nope:x"))
    with pytest.raises(NotFound):
        await world.start(conversation_id="nope")
    with pytest.raises(NotFound):
        await world.runs.cancel("local", "nope")
    begun = await world.start()
    with pytest.raises(NotFound):
        await world.runs.cancel("somebody else", begun.run_id)
    assert world.runs.running("local")


async def _all(world: World, run_id: str) -> list:
    return await reading.entries(world.log, run_id)
