"""What the program does by itself works for every owner, and tells each only of what is theirs."""

from __future__ import annotations

import json
from pathlib import Path

from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.runs.completion_log import BackgroundWriter, CompletionLog, FileSink
from streamchat.runs.notifications import MemoryFeed, Notification
from streamchat.runs.wakeup import Wakeup
from streamchat.storage import Storage
from streamchat.wiring.recovery import Recovery
from tests.integration.runs.conftest import World, world
from tests.support.storing import sweep

__all__ = ["world"]


async def begun(store: Storage, owner: str):
    """A row whose process is gone."""
    return await store.begin(
        owner, NewRun(client_message_id="m", parts=(TextPart("hi"),), model="fake:one"), worker="gone"
    )


async def test_recovery_tells_the_owner_of_a_dead_run(world: World):
    """Each row that is swept rings its own owner, and no other."""
    mine, theirs = await begun(world.store, "anna"), await begun(world.store, "bert")
    feed = MemoryFeed()
    notes = {owner: feed.subscribe(owner, Wakeup()) for owner in ("anna", "bert", "carl")}
    world.runs.feed = feed
    await Recovery(world.store, world.runs, feed, stale_seconds=-6).look()
    assert notes["anna"].take() == [Notification("ended", mine.conversation_id, mine.run_id)]
    assert notes["bert"].take() == [Notification("ended", theirs.conversation_id, theirs.run_id)]
    assert notes["carl"].take() == []
    assert (await world.store.answer("anna", mine.run_id)).message.status == "interrupted"


async def test_endings_that_the_log_decided_have_their_owner(world: World):
    """What recovery reads of answers that ended elsewhere names whose they are."""
    rows = [await begun(world.store, owner) for owner in ("anna", "bert")]
    await sweep(world.store, -3600, "gone")
    ended = await world.store.ended([row.run_id for row in rows])
    assert {row.run_id: row.owner for row in ended} == {rows[0].run_id: "anna", rows[1].run_id: "bert"}


async def test_the_completion_log_has_the_answers_of_all(world: World, tmp_path: Path):
    """Whoever asked: the record of a worker is that of all its answers."""
    place = tmp_path / "answers.jsonl"
    record = CompletionLog(world.runs, BackgroundWriter(FileSink(place)))
    record.start()
    for owner in ("anna", "bert"):
        run = await world.runs.start(owner, NewRun(client_message_id="m", parts=(TextPart("hi"),), model=world.model))
        world.provider.say(TextDelta(owner), Finished())
        await world.ended(run.run_id)
    await record.close(patience=5)
    lines = [json.loads(line) for line in place.read_text().splitlines()]
    assert {line["text"] for line in lines if line["type"] == "text-delta"} == {"anna", "bert"}


def test_a_notification_is_for_its_owner_and_for_the_program():
    """``None`` hears of everybody, a person of themselves; what is for everybody reaches each once."""
    feed = MemoryFeed()
    anna, bert, program = [feed.subscribe(owner, Wakeup()) for owner in ("anna", "bert", None)]
    note, models = Notification("started", "c", "r"), Notification("models", "")
    feed.publish("anna", note)
    feed.publish_to_all(models)
    assert [one.take() for one in (anna, bert, program)] == [[note, models], [models], [note, models]]
