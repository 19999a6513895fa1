"""With ``STREAMCHAT_OPENAI_BACKGROUND`` a response outlives its connection and its worker: it is read on there.

The real SDK against a server that generates without its client. Nothing is asked twice, lost or repeated."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from streamchat.chat.events import UsageReported
from streamchat.chat.messages import Message, NoticePart, TextPart, ToolCallPart
from streamchat.chat.request import NewRun, Options, RunOptions
from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.providers.openai.responses import OpenAIResponses
from streamchat.runs import agent
from streamchat.runs.retries import Policy, Target
from streamchat.runs.takeover import Budget
from streamchat.tools.definition import tool
from tests.integration.runs.conftest import World, make_world
from tests.support.stored_responses import StoredResponses, call, message, reasoning

WORDS = [f"w{number:03} " for number in range(20)]
TEXT = "".join(WORDS)
PLAIN = (reasoning("I ", "think."), message(*WORDS))
# Every event before ``response.completed``.
EVENTS = 2 + (2 + 3) + (2 + len(WORDS) + 1)
COST = 0.25
PRICED = Policy(cost=lambda model, usage: COST if (usage.input, usage.output) == (10, 5) else None)
ran: list[str] = []


@tool
async def count(word: str) -> str:
    """Says that it ran."""
    ran.append(word)
    return f"counted {word}"


class Worlds:
    """Processes with one database, which read one server."""

    def __init__(self, path: Path, server: StoredResponses, stack: AsyncExitStack) -> None:
        self.server = server
        self._path = path
        self._stack = stack
        self._numbers = itertools.count()

    async def start(self, *, tries: int = 1, background: bool = True, policy: Policy | None = None) -> World:
        provider = OpenAIResponses(api_key="k", base_url=self.server.url, background=background)
        catalog = Catalog([Source("openai-responses", provider, [ModelInfo("openai-responses:m", "Model")])])
        made = make_world(self._path, policy, catalog, [count], worker=f"worker {id(provider)}", budget=Budget(tries))
        world = await self._stack.enter_async_context(made)
        world.model = "openai-responses:m"
        world.prefix = f"{next(self._numbers)}-"
        return world


@asynccontextmanager
async def make_worlds(path: Path, **settings: object) -> AsyncIterator[Worlds]:
    ran.clear()
    async with StoredResponses(**settings) as server, AsyncExitStack() as stack:  # pyrefly: ignore[bad-argument-type]
        yield Worlds(path, server, stack)


@pytest.fixture
async def worlds(tmp_path: Path) -> AsyncIterator[Worlds]:
    async with make_worlds(tmp_path, answers=[PLAIN]) as made:
        yield made


async def has(world: World, run_id: str, text: str) -> None:
    while text not in world.log.snapshot(run_id).message.text:
        await asyncio.sleep(0.005)


def seams(answer: Message) -> list[NoticePart]:
    return [part for part in answer.parts if isinstance(part, NoticePart) and part.kind == "seam"]


def check_whole(answer: Message) -> None:
    assert (answer.status, answer.text, seams(answer)) == ("finished", TEXT, [])
    assert [part.type for part in answer.parts] == ["reasoning", "text"]
    assert answer.usage == UsageReported(10, 5)


@pytest.mark.parametrize("how", ["reset", "cut", "garbage"])
async def test_a_connection_that_breaks_anywhere(tmp_path: Path, how: str):
    """Wherever the connection breaks once the provider has named the response: the answer is whole, and was asked for
    once."""
    places = [1, 3, 5, 7, 9, 15, EVENTS]
    async with make_worlds(tmp_path, answers=[PLAIN]) as worlds:
        world = await worlds.start()
        for n, place in enumerate(places, 1):
            worlds.server.breaks = [(place, how)]
            begun = await world.start()
            check_whole(await world.ended(begun.run_id))
            assert len(worlds.server.asked) == n
            assert worlds.server.read[-1] == {"id": f"resp_{n}", "stream": "true", "starting_after": "0"}
        assert worlds.server.cancelled == []


async def test_a_stop_text(worlds: Worlds):
    """The answer ends before it, also if the response is read on; the provider, which would go on, is told."""
    worlds.server.breaks = [(9, "reset")]
    world = await worlds.start()
    options = RunOptions(options=Options(stop=(WORDS[10],)))
    for response in ("resp_1", "resp_2"):
        worlds.server.room = 20  # it has not ended when the answer does
        answer = await world.ended((await world.start(options=options)).run_id)
        assert (answer.status, answer.text) == ("finished", "".join(WORDS[:10]))
        while response not in worlds.server.cancelled:
            await asyncio.sleep(0.005)
    assert (len(worlds.server.asked), len(worlds.server.read)) == (2, 1)


async def test_a_connection_that_breaks_again_and_again(worlds: Worlds, monkeypatch: pytest.MonkeyPatch):
    """Each reading comes a little farther; those that bring nothing new are counted, and the others are not."""
    monkeypatch.setattr(agent, "MAX_FAILURES", 1)
    worlds.server.breaks = [(place, "reset") for place in range(9, 21)]
    world = await worlds.start()
    check_whole(await world.ended((await world.start()).run_id))
    assert (len(worlds.server.asked), len(worlds.server.read)) == (1, 12)


async def test_a_hand_over(worlds: Worlds):
    """SIGTERM: the next process reads on, under the same run id and with the next number, without a seam."""
    worlds.server.room = 15
    one = await worlds.start()
    run_id = (await one.start()).run_id
    await has(one, run_id, WORDS[3])
    seq = one.log.snapshot(run_id).seq
    await one.runs.close()
    stored = await one.store.answer("local", run_id)
    assert stored.upstream is not None
    assert stored.upstream["response_id"] == "resp_1"
    two = await worlds.start()
    assert await two.runs.take_over(run_id, stored.epoch, silence=0, released=True)
    await worlds.server.go()
    check_whole(await two.ended(run_id))
    assert two.log.snapshot(run_id).seq > seq >= stored.seq
    assert (len(worlds.server.asked), worlds.server.cancelled) == (1, [])
    ended = await two.store.answer("local", run_id)
    assert (ended.message.text, ended.upstream) == (TEXT, None)


@pytest.mark.parametrize("generated", [1, 5, 8, 12, EVENTS])
async def test_a_process_that_lost_its_run(worlds: Worlds, generated: int):
    """Another process owns the run while the former one still reads: the former one gives it up, and the provider goes
    on. What had not been stored is read again."""
    worlds.server.room = generated
    one, two = await worlds.start(), await worlds.start()
    run_id = (await one.start()).run_id
    while not (await one.store.answer("local", run_id)).upstream:
        await asyncio.sleep(0.005)
    assert await two.runs.take_over(run_id, 0, silence=0, silent_for=-60)
    await worlds.server.go()
    check_whole(await two.ended(run_id))
    while one.runs.active_ids():
        await asyncio.sleep(0.005)
    assert (len(worlds.server.asked), worlds.server.cancelled) == (1, [])


CALLS = (message("Wait. "), call("count", '{"wo', 'rd": "a"}'), call("count", '{"word"', ': "b"}'))


@pytest.mark.parametrize("how", ["connection", "worker"])
async def test_rounds_of_tools(tmp_path: Path, how: str):
    """A break among the arguments, or at the end: each call runs once, and the second response is read on as well.

    Both responses are paid for, however often they are read."""
    for place in (7, 9, 14):
        answers = [CALLS, [message(*WORDS)]]
        (path := tmp_path / str(place)).mkdir()
        async with make_worlds(path, answers=answers) as worlds:
            if how == "connection":
                worlds.server.breaks = [(place, "reset"), (100, ""), (9, "cut")]
            else:
                worlds.server.room = place
            world = await worlds.start(policy=PRICED)
            run_id = (await world.start()).run_id
            if how == "worker":
                while not (await world.store.answer("local", run_id)).upstream:
                    await asyncio.sleep(0.005)
                await world.runs.close()
                epoch = (await world.store.answer("local", run_id)).epoch
                world = await worlds.start(policy=PRICED)
                assert await world.runs.take_over(run_id, epoch, silence=0, released=True)
                await worlds.server.go()
            answer = await world.ended(run_id)
            assert (answer.status, answer.text, seams(answer)) == ("finished", f"Wait. {TEXT}", [])
            calls = [part for part in answer.parts if isinstance(part, ToolCallPart)]
            assert [(part.state, part.arguments) for part in calls] == [("done", {"word": w}) for w in "ab"]
            assert (sorted(ran), len(worlds.server.asked)) == (["a", "b"], 2)
            assert answer.usage == UsageReported(20, 10, cost_usd=2 * COST)


async def test_a_worker_that_dies_after_the_calls(tmp_path: Path):
    """The response has ended when its tools run: the next process does not read it on, and no tool runs again."""
    async with make_worlds(tmp_path, answers=[CALLS, [message(*WORDS)]], rooms=[None, 5]) as worlds:
        one, two = await worlds.start(), await worlds.start()
        run_id = (await one.start()).run_id
        await has(one, run_id, WORDS[0])
        stored = await one.store.answer("local", run_id)
        await one.writer.flush()
        assert await two.runs.take_over(run_id, stored.epoch, silence=0, silent_for=-60)
        await worlds.server.go()
        answer = await two.ended(run_id)
        assert (answer.status, answer.text, sorted(ran)) == ("finished", f"Wait. {TEXT}", ["a", "b"])


async def test_stop_cancels_at_the_provider(worlds: Worlds):
    """Stop ends the generation there too, and so does Stop while a taken-over response is read on."""
    worlds.server.room = 12
    one = await worlds.start()
    run_id = (await one.start()).run_id
    await has(one, run_id, WORDS[2])
    await one.runs.cancel("local", run_id)
    assert (await one.stored(run_id)).status == "stopped"
    await worlds.server.reached(lambda: worlds.server.cancelled == ["resp_1"])
    worlds.server.room = 12
    run_id = (await one.start()).run_id
    await has(one, run_id, WORDS[2])
    two = await worlds.start()
    assert await two.runs.take_over(run_id, 0, silence=0, silent_for=-60)
    await worlds.server.reached(lambda: worlds.server.read)
    await two.runs.cancel("local", run_id)
    await worlds.server.reached(lambda: worlds.server.cancelled == ["resp_1", "resp_2"])
    assert (await two.stored(run_id)).status == "stopped"
    assert worlds.server.responses["resp_2"].whole["status"] == "cancelled"


async def test_an_answer_that_is_not_continued_is_cancelled(worlds: Worlds):
    """Beyond the budget, or after a shutdown without one: nothing is generated that nobody reads."""
    worlds.server.room = 12
    one = await worlds.start()
    run_id = (await one.start()).run_id
    await has(one, run_id, WORDS[2])
    await one.writer.flush()
    two = await worlds.start(tries=0)
    assert await two.runs.take_over(run_id, 0, silence=0, silent_for=-60)
    await worlds.server.reached(lambda: worlds.server.cancelled == ["resp_1"])
    assert (await two.stored(run_id)).status == "interrupted"
    run_id = (await two.start()).run_id
    await has(two, run_id, WORDS[2])
    await two.runs.close()
    assert worlds.server.cancelled == ["resp_1", "resp_2"]


async def test_a_response_that_the_provider_does_not_know(worlds: Worlds):
    """404: the ordinary takeover, with a seam and another request. In the same process: as without the setting."""
    worlds.server.room, worlds.server.lookup = 12, 404
    one = await worlds.start()
    run_id = (await one.start()).run_id
    await has(one, run_id, WORDS[2])
    await one.writer.flush()
    two = await worlds.start()
    assert await two.runs.take_over(run_id, 0, silence=0, silent_for=-60)
    await worlds.server.reached(lambda: len(worlds.server.asked) == 2)
    await worlds.server.go()
    answer = await two.ended(run_id)
    assert (answer.status, len(seams(answer))) == ("finished", 1)
    assert answer.text.endswith(TEXT)
    worlds.server.breaks = [(12, "reset")]
    answer = await two.ended((await two.start()).run_id)
    assert (answer.status, answer.text) == ("interrupted", TEXT[: len(answer.text)])
    assert len(worlds.server.asked) == 3
    rescue: Callable[[Target], Target] = lambda target: target  # noqa: E731
    three = await worlds.start(policy=Policy(rescue=rescue))
    worlds.server.breaks = [(12, "reset")]
    answer = await three.ended((await three.start()).run_id)
    assert (answer.status, len(seams(answer)), len(worlds.server.asked)) == ("finished", 1, 5)


async def test_a_response_that_is_not_streamed_any_more(worlds: Worlds):
    """It is read as a whole once it is complete; until then the model is not asked again."""
    worlds.server.room, worlds.server.streams = 12, False
    worlds.server.breaks = [(11, "cut")]
    world = await worlds.start()
    run_id = (await world.start()).run_id
    await worlds.server.reached(lambda: len(worlds.server.read) >= 2)
    await worlds.server.go()
    check_whole(await world.ended(run_id))
    assert len(worlds.server.asked) == 1


async def test_a_response_that_failed_there(worlds: Worlds):
    """Its error is the answer's, once."""
    failed = {"status": "failed", "output": [], "error": {"code": "server_error", "message": "It broke."}}
    world = await worlds.start(policy=Policy(retries=0))
    worlds.server.room = 12
    run_id = (await world.start()).run_id
    await has(world, run_id, WORDS[2])
    response = worlds.server.responses["resp_1"]
    response.events[13:] = [{"type": "response.failed", "sequence_number": 13, "response": failed}]
    await worlds.server.go()
    answer = await world.ended(run_id)
    assert (answer.status, len(worlds.server.asked), worlds.server.read) == ("failed", 1, [])


@pytest.mark.parametrize("background", [False, True])
async def test_what_is_asked_for(tmp_path: Path, background: bool):
    """Without the setting nothing is stored and nothing is read on; a provider that refuses it is asked without it."""
    refuses = "Background mode is not available with zero data retention." if background else ""
    async with make_worlds(tmp_path, answers=[PLAIN], refuses=refuses) as worlds:
        world = await worlds.start(background=background)
        for _ in range(2):
            check_whole(await world.ended((await world.start()).run_id))
        worlds.server.breaks = [(12, "reset")]
        assert (await world.ended((await world.start()).run_id)).status == "interrupted"
        new = NewRun(client_message_id="t", model=world.model, parts=(TextPart("hello"),), temporary=True)
        check_whole(await world.ended((await world.runs.start("local", new)).run_id))
        sent = [(request["store"], request.get("background")) for request in worlds.server.asked]
        assert sent == [(True, True)] * background + [(False, None)] * 4
        assert (worlds.server.read, worlds.server.cancelled) == ([], [])
