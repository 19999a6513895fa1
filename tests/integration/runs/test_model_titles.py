"""Titles by a model: asked for once, behind the answer, and never instead of a person's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from streamchat.chat.events import Finished, TextDelta, ToolCallStarted
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import ProviderError
from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.runs.service import same_for_all
from streamchat.runs.titles import OWN_MODEL, Titles
from streamchat.runs.wakeup import Wakeup
from streamchat.simulator import MODELS, Simulator
from tests.integration.runs.conftest import QueueProvider, World, make_world


@pytest.fixture
async def titled(tmp_path) -> AsyncIterator[tuple[World, QueueProvider]]:
    """A world whose answers are named by a second model, which says what the test hands it."""
    namer, answers = QueueProvider(), QueueProvider()
    sources = [
        Source("fake", answers, [ModelInfo("fake:one", "Fake")]),
        Source("namer", namer, [ModelInfo("namer:one", "Namer")]),
    ]
    async with make_world(tmp_path, catalog=Catalog(sources)) as world:
        world.provider = answers
        yield world, namer


def naming(world: World, model: str) -> asyncio.Task[None]:
    models_of = same_for_all(world.catalog)
    titles = Titles(model, models_of=models_of, log=world.log, store=world.store, feed=world.feed)
    world.runs.on_ended = titles.offer
    return asyncio.create_task(titles.work())


async def answered(world: World, text: str = "How do I do it?", **more) -> str:
    """A conversation of one question with its answer."""
    new = NewRun(client_message_id=f"c{text}", parts=(TextPart(text),), model=world.model, inherit=True, **more)
    begun = await world.runs.start("local", new)
    world.provider.say(TextDelta("Like this."), Finished())
    await world.ended(begun.run_id)
    return begun.conversation_id


async def title(world: World, conversation_id: str) -> str:
    return (await world.store.about("local", conversation_id)).title


async def named(world: World, conversation_id: str, expected: str) -> None:
    while await title(world, conversation_id) != expected:
        await asyncio.sleep(0.005)


async def test_the_first_answer_gives_the_title(titled: tuple[World, QueueProvider]):
    """First words until then; one request without tools, in no list; pages hear of it; later answers ask nothing."""
    world, namer = titled
    work = naming(world, "namer:one")
    told = world.feed.subscribe("local", Wakeup())
    where = await answered(world)
    assert await title(world, where) == "How do I do it?"
    namer.say(TextDelta("**Doing "), TextDelta("it**"), Finished())
    await named(world, where, "Doing it")
    (request,) = namer.requests
    assert request.tools == ()
    assert "Like this." in request.messages[0].text
    while not any(note.kind == "changed" and note.conversation_id == where for note in told.take()):
        await asyncio.sleep(0)
    begun = await world.start("more", conversation_id=where)
    world.provider.say(TextDelta("x"), Finished())
    await world.ended(begun.run_id)
    assert len(await world.store.conversations("local")) == 1
    # The next conversation is named by the second request: the second answer of the first one asked for nothing.
    other = await answered(world, "And that?")
    namer.say(TextDelta("That"), Finished())
    await named(world, other, "That")
    assert len(namer.requests) == 2
    work.cancel()


async def test_a_persons_title_stays(titled: tuple[World, QueueProvider]):
    """Given while the model writes, it is not replaced; a failing model and one that calls tools change nothing."""
    world, namer = titled
    work = naming(world, "namer:one")
    where = await answered(world)
    await world.store.rename("local", where, "Mine")
    namer.say(TextDelta("Theirs"), Finished())
    failed = await answered(world, "Second")
    namer.say(ProviderError("no"))
    called = await answered(world, "Third")
    namer.say(ToolCallStarted("c", "x"), Finished("tool-calls"))
    last = await answered(world, "Fourth")
    namer.say(TextDelta("Last"), Finished())
    await named(world, last, "Last")
    assert [await title(world, one) for one in (where, failed, called)] == ["Mine", "Second", "Third"]
    work.cancel()


async def test_what_is_not_named(titled: tuple[World, QueueProvider]):
    """Temporary chats, calls of other APIs, and answers that are not complete ask for no title."""
    world, namer = titled
    work = naming(world, "namer:one")
    await answered(world, "temporary", temporary=True)
    begun = await world.start("of another API")
    world.provider.say(TextDelta("x"), Finished())
    await world.ended(begun.run_id)
    stopped = await world.runs.start(
        "local", NewRun(client_message_id="s", parts=(TextPart("stop"),), model=world.model, inherit=True)
    )
    world.provider.say(TextDelta("x"))
    await world.runs.cancel("local", stopped.run_id)
    last = await answered(world, "Named")
    namer.say(TextDelta("Last"), Finished())
    await named(world, last, "Last")
    assert len(namer.requests) == 1
    work.cancel()


async def test_a_real_client_gives_the_title(tmp_path):
    """The conversation's own model, asked by the vendor's SDK over loopback."""
    simulator = Simulator()
    catalog = Catalog([Source("simulator", simulator, MODELS)])
    async with make_world(tmp_path, catalog=catalog) as world:
        work = naming(world, OWN_MODEL)
        text = "n=4 rate=0 kind=numbered"
        new = NewRun(client_message_id="c", parts=(TextPart(text),), model="simulator:tour", inherit=True)
        begun = await world.runs.start("local", new)
        await named(world, begun.conversation_id, "w000001 w000002 w000003 w000004")
        work.cancel()
