"""Two workers as two processes, Redis, PostgreSQL, nginx in front: an answer belongs to none of them."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from devservers.cluster import Machine
from streamchat.storage import Storage
from tests.support.reader import Reader, tab

MODEL = "simulator:tour"


def numbered(count: int) -> str:
    return " ".join(f"w{n:06}" for n in range(1, count + 1))


async def stored(machine: Machine, which: Reader):
    """The last answer of a tab's conversation, as the database has it."""
    storage = Storage(machine.database)
    await storage.open()
    try:
        return (await storage.conversation("local", which.path.removeprefix("/c/"))).messages[-1]
    finally:
        await storage.close()


async def asked(writer: Reader, words: str) -> None:
    """Ask in a new chat, and wait for the first words of the answer."""
    await writer.ask(f"kind=numbered {words}", MODEL)
    await writer.until(lambda: writer.path != "/" and writer.messages and writer.answer.text)


async def test_watch_from_the_other_worker(machine: Machine):
    """A tab on each worker and one through nginx show the same answer while it is written, whole and without a gap."""
    async with tab(machine.one.port) as writer:
        await asked(writer, "n=100 rate=50")
        async with tab(machine.two.port, writer.path) as reader, tab(machine.port, writer.path) as third:
            assert reader.answer.status == "streaming"
            steps = set()
            for tab_ in (reader, third, writer):
                await tab_.until(lambda t=tab_: steps.add(len(t.answer.text)) or t.answer.status == "finished")
                assert tab_.answer.text.strip() == numbered(100)
                assert tab_.gaps == []
            assert len(steps) > 20
            message = await stored(machine, writer)
            assert (message.status, message.text) == ("finished", reader.answer.text)


async def test_a_message_sent_on_one_worker_shows_on_the_other(machine: Machine):
    """A tab that is open on the same conversation gets question and answer without asking."""
    async with tab(machine.one.port) as first:
        await asked(first, "n=3 rate=100")
        await first.until(lambda: first.answer.status == "finished")
        async with tab(machine.two.port, first.path) as second:
            await second.ask("kind=numbered n=5 rate=100", MODEL)
            await first.until(lambda: len(first.messages) == 4 and first.answer.status == "finished")
            assert first.answer.text.strip() == numbered(5)
            await second.until(lambda: second.answer.status == "finished")
            assert list(first.messages) == list(second.messages)


async def test_stop_from_the_other_worker(machine: Machine):
    """Stop where the answer is not written: it ends as *stopped* on both, stored as it is shown."""
    async with tab(machine.one.port) as writer:
        await asked(writer, "n=2000 rate=50")
        async with tab(machine.two.port, writer.path) as reader:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await reader.call("stop")
            await asyncio.gather(*(t.until(lambda t=t: t.answer.status == "stopped") for t in (reader, writer)))
            assert loop.time() - began < 20
            message = await stored(machine, writer)
            assert message.status == "stopped"
            assert message.text == reader.answer.text == writer.answer.text
            assert numbered(2000).startswith(message.text.strip())
            assert reader.page.said == writer.page.said == []


async def test_one_client_message_on_two_workers(machine: Machine):
    """The same message of a page, sent over two workers at once, is one answer."""
    async with tab(machine.one.port) as one, tab(machine.two.port) as two:
        await asyncio.gather(*(t.ask("n=20 rate=50", MODEL, client_id="the-same") for t in (one, two)))
        await asyncio.gather(*(t.until(lambda t=t: t.messages and t.answer.status == "finished") for t in (one, two)))
        assert one.path == two.path
        assert list(one.messages) == list(two.messages)
        assert len(one.messages) == 2


async def test_a_worker_is_killed(machine: Machine):
    """``kill -9`` in the middle: the reader elsewhere is told within ten seconds; page and database agree."""
    async with tab(machine.one.port) as writer:
        await asked(writer, "n=5000 rate=50")
        path = writer.path
        async with tab(machine.two.port, path) as reader:
            await reader.until(lambda: len(reader.answer.text) > 200)
            loop = asyncio.get_running_loop()
            machine.one.kill()
            began = loop.time()
            await reader.until(lambda: reader.answer.status == "interrupted")
            assert loop.time() - began < 30
            message = await stored(machine, reader)
            assert (message.status, message.text) == ("interrupted", reader.answer.text)
            assert numbered(5000).startswith(message.text.strip())
            # Through nginx, which leaves the dead worker out.
            async with tab(machine.port, path) as again:
                assert (again.answer.status, again.answer.text) == ("interrupted", message.text)
                await again.ask("kind=numbered n=5 rate=100", MODEL)
                await again.until(lambda: again.answer.status == "finished")
                assert again.answer.text.strip() == numbered(5)
    machine.one.start()


async def test_a_worker_is_shut_down(machine: Machine):
    """SIGTERM in the middle: the reader elsewhere is told at once, and nothing is lost."""
    async with tab(machine.one.port) as writer:
        await asked(writer, "n=5000 rate=50")
        async with tab(machine.two.port, writer.path) as reader:
            await reader.until(lambda: len(reader.answer.text) > 200)
            stopping = asyncio.create_task(asyncio.to_thread(machine.one.stop))
            await reader.until(lambda: reader.answer.status == "interrupted", 10)
            await stopping
            message = await stored(machine, reader)
            assert (message.status, message.text) == ("interrupted", reader.answer.text)
            assert reader.gaps == []
    machine.one.start()


async def test_a_tab_goes_from_worker_to_worker(machine: Machine):
    """The same tab connects elsewhere, after it closed its socket and while the old one still counts: it goes on."""
    token = str(uuid.uuid4())
    async with tab(machine.one.port, token=token) as before:
        await asked(before, "n=250 rate=50")
        path = before.path
    async with tab(machine.two.port, path, token=token) as after:
        assert after.answer.status == "streaming"
        async with tab(machine.one.port, path, token=token) as half_open:
            await half_open.until(lambda: half_open.answer.status == "finished")
            assert half_open.answer.text.strip() == numbered(250)
            assert half_open.gaps == []
        await after.until(lambda: after.answer.status == "finished")
        assert (after.answer.text.strip(), after.gaps) == (numbered(250), [])


@pytest.mark.parametrize("seconds", [1, 7])
async def test_redis_is_restarted(machine: Machine, seconds: float):
    """Redis ends and comes back empty while an answer is written: the answer goes on, both workers' pages show it.

    For longer than a worker may keep a tab's state without Redis, too.
    """
    words = 100 + round(seconds * 75)
    async with tab(machine.one.port) as near:
        await asked(near, f"n={words} rate=50")
        async with tab(machine.two.port, near.path) as far:
            machine.redis.stop()
            await asyncio.sleep(seconds)
            machine.redis.start()
            for page in (near, far):
                await page.until(lambda p=page: p.answer.status == "finished")
                assert (page.answer.text.strip(), page.gaps) == (numbered(words), [])
            assert (await stored(machine, near)).status == "finished"
            await far.ask("kind=numbered n=5 rate=100", MODEL)
            await near.until(lambda: len(near.messages) == 4 and near.answer.status == "finished")
