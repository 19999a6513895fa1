"""What tools cost: the fields of arguments that still arrive, and a call.

No provider, no page. Floors: the fragments joined once; a function that is awaited.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable

from bench.tables import number, show, spread
from streamchat.chat.events import Event, Finished, TextDelta
from streamchat.chat.partial_json import PartialFields
from streamchat.chat.request import Request
from streamchat.providers.python.definition import model
from streamchat.providers.python.provider import PythonModels
from streamchat.tools import Context, execute, tool

FRAGMENT = 20
_BATCHES = 5
_TEXT = "The quick brown fox\njumps over 13 lazy dogs. "


async def run(quick: bool) -> None:
    size = 200_000 if quick else 1_000_000
    rows = [_row(name, size // share, make) for name, make in _KINDS.items() for share in (2, 1)]
    show(
        f"Arguments in fragments of {FRAGMENT} characters",
        ["", "baseline: joined, ms", "fields, ms", "times shown", "µs/KB"],
        rows,
        "All CPU. Linear: twice the size costs twice the time.",
    )
    calls = 50 if quick else 500
    head = ["", "µs/call"]
    floor = [await _awaited(calls) for _ in range(_BATCHES)]
    ours = [await _executed(calls) for _ in range(_BATCHES)]
    rows = [["*baseline*: the function awaited", spread(floor)], ["`execute`, in a thread of its own", spread(ours, 0)]]
    show(f"A call of a tool that adds two numbers ({calls} calls)", head, rows)
    await _models(2_000 if quick else 10_000)


async def _models(pieces: int) -> None:
    """What ``@model`` adds to a provider that yields its pieces on the program's own loop."""
    rows = []
    for name, count, pace in (("as fast as they are taken", pieces, 0.0), ("one every 0.5 ms", pieces // 5, 0.0005)):

        async def floor(count: int = count, pace: float = pace) -> AsyncGenerator[Event, None]:
            for _ in range(count):
                await asyncio.sleep(pace)
                yield TextDelta(" word42")
            yield Finished()

        @model
        async def own(request: Request, count: int = count, pace: float = pace):
            for _ in range(count):
                await asyncio.sleep(pace)
                yield " word42"

        models = PythonModels([own])
        floors = [await _read(floor(), count) for _ in range(_BATCHES)]
        ours = [await _read(models.stream(Request("own", ())), count) for _ in range(_BATCHES)]
        await models.close()
        rows.append([name, spread(floors), spread(ours)])
    head = ["pieces", "*baseline*: a generator on the loop, µs/piece", "`@model`, in its thread, µs/piece"]
    show(f"A model that is a function ({pieces:,} pieces)", head, rows, "All CPU, of both threads.")


async def _read(events: AsyncGenerator[Event, None], count: int) -> float:
    used = time.process_time()
    async for _ in events:
        pass
    return (time.process_time() - used) / count * 1e6


def _one_text(size: int) -> str:
    return json.dumps({"path": "notes.md", "text": _TEXT * (size // len(_TEXT))})


def _many_numbers(size: int) -> str:
    return json.dumps({"rows": [[n, n / 7, f"row {n}"] for n in range(size // 38)]})


_KINDS: dict[str, Callable[[int], str]] = {"one long text": _one_text, "a table of numbers": _many_numbers}


def _row(name: str, size: int, make: Callable[[int], str]) -> list[str]:
    text = make(size)
    fragments = [text[at : at + FRAGMENT] for at in range(0, len(text), FRAGMENT)]
    floor = [_timed(lambda: _joined(fragments))[0] for _ in range(_BATCHES)]
    ours = [_timed(lambda: _shown(fragments)) for _ in range(_BATCHES)]
    costs = [cost for cost, _ in ours]
    per_kb = number(min(costs) * 1000 / (len(text) / 1000))
    return [f"{name}, {len(text) / 1e6:.1f} MB", spread(floor), spread(costs), str(ours[0][1]), per_kb]


def _timed(work: Callable[[], int]) -> tuple[float, int]:
    used = time.process_time()
    result = work()
    return (time.process_time() - used) * 1000, result


def _joined(fragments: list[str]) -> int:
    kept = []
    for fragment in fragments:
        kept.append(fragment)
    return len("".join(kept))


def _shown(fragments: list[str]) -> int:
    partial = PartialFields()
    return sum(partial.add(fragment) is not None for fragment in fragments)


@tool
async def add(a: int, b: int) -> int:
    return a + b


async def _executed(calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        async for _event in execute(add, "c", {"a": 1, "b": 2}, Context("local", "c")):
            pass
    return (time.perf_counter() - began) / calls * 1e6


async def _awaited(calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        await add(1, 2)
    return (time.perf_counter() - began) / calls * 1e6
