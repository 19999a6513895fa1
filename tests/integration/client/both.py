"""Both clients behind one face, so that one test holds both to one promise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from streamchat.chat.messages import Message
from streamchat.client import AsyncClient, Client, Entry

T = TypeVar("T")


class Waiting:
    """The client that waits."""

    def __init__(self, url: str, patience: float = 30) -> None:
        self._client = Client(url, patience=patience)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        finally:
            self._client.close()

    async def entries(self, message: str = "hi", **options: Any) -> tuple[list[Entry], Message]:
        def work() -> tuple[list[Entry], Message]:
            run = self._client.start(message, **options)
            return list(run.entries()), run.final()

        return await self._in_thread(work)

    async def text(self) -> str:
        return await self._in_thread(lambda: "".join(self._client.start("hi").text()))

    async def follow(self, run_id: str, after: int | None = None) -> tuple[list[Entry], Message]:
        def work() -> tuple[list[Entry], Message]:
            run = self._client.follow(run_id, after=after)
            return list(run.entries()), run.final()

        return await self._in_thread(work)

    async def stop(self, run_id: str) -> Message:
        return await self._in_thread(lambda: self._client.stop(run_id))

    async def final_in_the_loop(self) -> tuple[list[Entry], Message]:
        """``final()`` after the first event of a loop, which then goes on."""

        def work() -> tuple[list[Entry], Message]:
            run, heard, final = self._client.start("hi"), [], None
            for entry in run.entries():
                heard.append(entry)
                final = final or run.final()
            assert final is not None
            return heard, final

        return await self._in_thread(work)


class Async:
    """The client for asyncio."""

    def __init__(self, url: str, patience: float = 30) -> None:
        self._client = AsyncClient(url, patience=patience)

    async def _then_close(self, work: Coroutine[Any, Any, T]) -> T:
        async with self._client:
            return await work

    async def entries(self, message: str = "hi", **options: Any) -> tuple[list[Entry], Message]:
        async def work() -> tuple[list[Entry], Message]:
            run = await self._client.start(message, **options)
            return [entry async for entry in run.entries()], await run.final()

        return await self._then_close(work())

    async def text(self) -> str:
        async def work() -> str:
            run = await self._client.start("hi")
            return "".join([piece async for piece in run.text()])

        return await self._then_close(work())

    async def follow(self, run_id: str, after: int | None = None) -> tuple[list[Entry], Message]:
        async def work() -> tuple[list[Entry], Message]:
            run = await self._client.follow(run_id, after=after)
            return [entry async for entry in run.entries()], await run.final()

        return await self._then_close(work())

    async def stop(self, run_id: str) -> Message:
        return await self._then_close(self._client.stop(run_id))

    async def final_in_the_loop(self) -> tuple[list[Entry], Message]:
        async def work() -> tuple[list[Entry], Message]:
            run, heard, final = await self._client.start("hi"), [], None
            async for entry in run.entries():
                heard.append(entry)
                final = final or await run.final()
            assert final is not None
            return heard, final

        return await self._then_close(work())
