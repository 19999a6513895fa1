"""Both clients against the real API."""

from __future__ import annotations

import asyncio

import pytest

from streamchat.chat import events as e
from streamchat.chat.wire import message_to_wire
from streamchat.client import AsyncClient, AsyncRun, Entry, Snapshot
from streamchat.errors import InvalidInput, NotFound
from streamchat.tools import tool
from tests.integration.client.both import Async, Waiting
from tests.integration.web.conftest import Api, MakeApi
from tests.unit.client.test_reading import SAID

both = pytest.mark.parametrize("client", [Waiting, Async])
# What the model says; the calls of tools are the program's to run, so they are left out here.
PLAIN = [event for event in SAID if not hasattr(event, "call_id")]


@both
async def test_the_events_are_those_of_the_log(client: type, api: Api):
    """Every number, kind and content, while it is said; folded, they are the message of the server."""
    reading = asyncio.create_task(client(api.url).entries("Grüße", model=api.world.model))
    while not (here := api.world.runs.active_ids()):
        await asyncio.sleep(0.01)
    for event in PLAIN:
        before = api.world.log.snapshot(here[0]).seq
        api.provider.say(event)
        while api.world.log.snapshot(here[0]).seq == before:
            await asyncio.sleep(0.001)
    heard, message = await reading
    assert heard == [Entry(n, event) for n, event in enumerate(PLAIN, 1)]
    answer = (await api.client.get(f"/api/runs/{message.id}")).json()
    assert message_to_wire(message) == answer["message"]
    assert api.provider.requests[0].messages[-1].text == "Grüße"


@both
async def test_a_message_waits_for_the_answer_before_it(client: type, api: Api):
    """With ``queue`` it is answered next, and its message says that it waited; without, it is refused."""
    first = await api.start("one")
    where = await api.world.runs.conversation_of("local", first)
    with pytest.raises(InvalidInput):
        await client(api.url).entries("two", conversation_id=where)
    reading = asyncio.create_task(client(api.url).entries("two", conversation_id=where, queue=True))
    while len(api.world.runs.active_ids()) < 2:
        assert not reading.done(), reading.result()
        await asyncio.sleep(0.01)
    api.provider.say(e.TextDelta("1"), e.Finished(), e.TextDelta("2"), e.Finished())
    heard, message = await reading
    assert message.text == "2"
    told = [entry.event for entry in heard if isinstance(entry.event, e.Notice)]
    assert [(notice.kind, (notice.data or {})["place"]) for notice in told] == [("queued", 1), ("queued", 0)]


@both
async def test_from_every_number_exactly_what_is_missing(client: type, api: Api):
    """After k: the entries behind k, and the whole message all the same."""
    run_id = await api.said(*PLAIN)
    stored = (await api.client.get(f"/api/runs/{run_id}")).json()["message"]
    for k in range(len(PLAIN)):
        heard, message = await client(api.url).follow(run_id, k)
        assert heard == [Entry(n, event) for n, event in enumerate(PLAIN, 1)][k:]
        assert message_to_wire(message) == stored
    for after in (None, len(PLAIN), 99):
        heard, message = await client(api.url).follow(run_id, after)
        assert [type(entry.event) for entry in heard] == [Snapshot]
        assert message_to_wire(message) == stored


@both
async def test_stop_ends_the_run_with_what_had_arrived(client: type, api: Api):
    """The message says so; stop again changes nothing; an unknown run is not found."""
    run_id = await api.start()
    api.provider.say(e.TextDelta("half"))
    while api.world.log.snapshot(run_id).seq == 0:
        await asyncio.sleep(0.001)
    message = await client(api.url).stop(run_id)
    assert (message.status, message.text) == ("stopped", "half")
    assert (await client(api.url).stop(run_id)) == message
    with pytest.raises(NotFound):
        await client(api.url).stop("no-such")


async def test_the_server_says_what_was_wrong(api: Api):
    """Its sentence, in the error of its kind."""
    async with AsyncClient(api.url) as client:
        with pytest.raises(InvalidInput, match="empty"):
            await client.start("  ")
        with pytest.raises(NotFound, match="no model"):
            await client.start("hi", model="no:such")
        with pytest.raises(NotFound):
            await client.follow("no-such")


@tool(approve=True)
async def send(to: str, copies: int = 1) -> str:
    """Something that cannot be taken back."""
    return f"sent to {to}, {copies}"


async def test_a_decision_goes_on_with_the_run(make_api: MakeApi):
    """The loop stays through the waiting; changed arguments are what runs; a second word is refused."""
    async with make_api(tools=(send,)) as api, AsyncClient(api.url) as client:
        run = await client.start("send it")
        api.provider.say(e.ToolCallStarted("c1", "send"), e.ToolCallReady("c1", {"to": "x"}), e.Finished("tool-calls"))
        result = None
        async for event in run.events():
            if isinstance(event, e.Waiting):
                assert run.message.status == "waiting"
                await api.world.reached(run.id, "waiting")
                api.provider.say(e.TextDelta("Done."), e.Finished())
                await client.decide(run.id, event.call_ids[0], True, arguments={"to": "Grace", "copies": 2})
            if isinstance(event, e.ToolResult):
                result = event.result
        assert result == "sent to Grace, 2"
        assert (run.message.status, run.message.text) == ("finished", "Done.")
        with pytest.raises(InvalidInput, match="does not wait"):
            await client.decide(run.id, "c1", False)


async def test_two_readers_of_different_speed(api: Api):
    """One that stalls slows neither the run nor the other, and has everything in the end."""
    run_id = await api.start()
    async with AsyncClient(api.url) as client:
        slow, fast = await client.follow(run_id, after=0), await client.follow(run_id, after=0)
        entries = slow.entries()
        api.provider.say(e.TextDelta("x" * 50_000))
        await anext(entries)
        for _ in range(199):
            api.provider.say(e.TextDelta("x" * 50_000))
        api.provider.say(e.Finished())
        async with asyncio.timeout(40):
            assert len((await fast.final()).text) == 10_000_000
        assert slow.message.text == "x" * 50_000
        rest = [entry async for entry in entries]
        assert len(slow.message.text) == 10_000_000
        assert rest[-1].event == e.Finished()


async def test_an_answer_is_forked_at_an_event(api: Api):
    """The copy has the events up to there, and another answer begins with them."""
    run_id = await api.said(e.TextDelta("one "), e.TextDelta("two "), e.Finished())
    async with AsyncClient(api.url) as client:
        copy = await client.conversation(await client.fork(run_id, after=1))
        assert copy["messages"][-1]["text"] == "one "
        again = await client.regenerate(run_id, after=1)
        api.provider.say(e.TextDelta("or else"), e.Finished())
        assert (await again.final()).text == "one or else"
        with pytest.raises(InvalidInput):
            await client.fork(run_id, after=99)


async def test_what_can_be_done_with_a_conversation(api: Api):
    """Versions, deletion with undo, settings, search, links, forks, export and import, as over HTTP."""
    async with AsyncClient(api.url) as client:

        async def answered(run: AsyncRun, text: str) -> AsyncRun:
            api.provider.say(e.TextDelta(text), e.Finished())
            await run.final()
            return run

        async def texts() -> list[str]:
            return [message["text"] for message in (await client.conversation(where))["messages"]]

        first = await answered(await client.start("one", system="Be brief."), "yes")
        where = first.conversation_id
        await answered(await client.regenerate(first.id), "again")
        question = (await client.conversation(where))["messages"][0]["id"]
        await answered(await client.edit(question, "uno", model=api.world.model), "si")
        assert await texts() == ["uno", "si"]
        await client.select_branch(first.id)
        assert await texts() == ["one", "yes"]
        await client.delete_message(question, following=True)
        assert await texts() == ["uno", "si"]
        await client.restore_message(question)
        assert (await texts())[0] == "one"
        about = await client.change_conversation(where, title="Herons", pinned=True, options={"max_tokens": 9})
        assert (about["title"], about["system"], about["options"]) == ("Herons", "Be brief.", {"max_tokens": 9})
        running = await client.start("long", conversation_id=where)
        steered = await answered(await client.steer(running.id, "short"), "ok")
        assert (await client.get(running.id)).status == "stopped"
        assert [hit["message_id"] for hit in (await client.search("ok"))["hits"]] == [steered.id]
        path = await client.share(where)
        assert path.startswith("/s/")
        await client.unshare(where)
        (copy,) = await client.import_conversations("# Copy\n\n## You\n\nhi\n\n## Answer\n\nho")
        assert [row["id"] for row in (await client.conversations())["conversations"]] == [where, copy]
        fork = await client.fork(first.id)
        assert [message["text"] for message in (await client.conversation(fork))["messages"]] == ["one", "yes"]
        (again,) = await client.import_conversations(await client.export(fork))
        assert (await client.export(again, format="markdown")).count("yes") == 1
        for one in (fork, again):
            await client.delete_conversation(one)
        await client.delete_conversation(copy)
        assert [row["id"] for row in (await client.conversations())["conversations"]] == [where]
        await client.restore_conversation(copy)
        with pytest.raises(NotFound):
            await client.conversation("nothere")
        with pytest.raises(InvalidInput):
            await client.change_conversation(where, options={"temperature": 9})
