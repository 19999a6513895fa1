"""The loads, and the simulator that speaks them: the same answers for the program and for its floors.

Knows the simulator's words and its journal; not who reads the answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import httpx2

from streamchat.processes.subprocess_server import Address, SubprocessServer
from streamchat.simulator import texts

SCENE = "tour"


@dataclass(frozen=True, slots=True)
class Load:
    """``rate``: tokens/s, 0 for as fast as they come. ``history``: turns that are there before, of 200 words."""

    name: str
    kind: str
    tokens: int
    rate: int
    history: int = 0

    @property
    def message(self) -> str:
        """What a person would have to type to get this answer."""
        return f"kind={self.kind} n={self.tokens} rate={self.rate} ttft=200"

    @property
    def pieces(self) -> list[str]:
        """The answer's tokens, as the simulator will say them."""
        if self.kind == "numbered":
            return list(texts.numbered(self.tokens))
        return list(texts.markdown(self.tokens, seed=1))

    @property
    def ends(self) -> list[int]:
        """The length of the answer after each token."""
        return list(accumulate(map(len, self.pieces)))

    @property
    def seconds(self) -> float:
        """How long the provider needs for it."""
        return 0.2 + (self.tokens / self.rate if self.rate else 2)

    @property
    def title(self) -> str:
        kind = "words" if self.kind == "numbered" else "words of Markdown"
        pace = f"at {self.rate}/s" if self.rate else "as fast as they come"
        after = f", after {self.history} turns of 200 words" if self.history else ""
        return f"{self.name}: {self.tokens:,} {kind} {pace}{after}"


def loads(quick: bool) -> list[Load]:
    share = 5 if quick else 1
    return [
        Load("A", "numbered", 500 // share, 50),
        Load("B", "markdown", 2000 // share, 100),
        Load("C", "numbered", 500 // share, 50, history=40),
        Load("D", "numbered", 4000 // share, 0),
    ]


class Simulator:
    """A running simulator: where it is, and what it did."""

    def __init__(self, address: Address, pid: int) -> None:
        self.address = address
        self.pid = pid
        self._client = httpx2.AsyncClient(headers={"authorization": f"Bearer {address.api_key}"})

    @property
    def base_url(self) -> str:
        return f"{self.address.url}/v1"

    def body(self, load: Load) -> dict[str, Any]:
        """The request of this load, for those who ask without our adapter."""
        return {"model": SCENE, "stream": True, "messages": [{"role": "user", "content": load.message}]}

    async def last(self) -> dict[str, Any]:
        """The record of the newest request; ``emits`` are the times (``time.time()``) of its tokens."""
        answer = await self._client.get(f"{self.address.url}/_log", params={"limit": 1})
        return answer.json()["requests"][-1]

    async def emits(self, load: Load) -> list[float]:
        """When the tokens of this load, the newest request, were sent. Raises where it was another one."""
        record = await self.last()
        if record["tokens_sent"] != load.tokens:
            raise RuntimeError(f"the provider sent {record['tokens_sent']} tokens of {load.tokens}")
        return record["emits"]

    async def close(self) -> None:
        await self._client.aclose()


@asynccontextmanager
async def simulator() -> AsyncIterator[Simulator]:
    """One of our own, beside that of the program under test: both program and floor are pointed at it."""
    child = SubprocessServer("simulator", "streamchat.simulator")
    address = await child.start()
    assert child.pid is not None
    running = Simulator(address, child.pid)
    try:
        yield running
    finally:
        await running.close()
        await child.close()
