"""A tab without a browser whose last answer is looked at."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.chat_page import numbered
from tests.support.page_model import Frame, Shown
from tests.support.tab import Tab

MODEL = "openai:tour"


class Reader(Tab):
    """A tab that remembers when its answer had how much text."""

    def __init__(self, url: str, path: str = "/", *, token: str = "", origin: str = "") -> None:
        super().__init__(url, path, token=token, origin=origin, on_frame=self._arrived)
        self.arrivals: list[tuple[float, int]] = []

    def _arrived(self, frame: Frame) -> None:
        if "t" in frame:
            self.arrivals.append((time.monotonic(), len(frame["t"].split())))

    @property
    def messages(self) -> dict[str, Shown]:
        return self.page.messages

    @property
    def answer(self) -> Shown:
        """The last message of the model, or what there is before it."""
        messages = list(self.messages.values())
        return next((message for message in reversed(messages) if message.role == "assistant"), messages[-1])

    @property
    def notices(self) -> list[str]:
        return [part["text"] for part in self.answer.parts if part["type"] == "notice"]

    async def answered(self, text: str, status: str = "finished", timeout: float = 90) -> Shown:  # noqa: ASYNC109
        """Ask, and wait for the end."""
        before = len(self.page.messages)
        await self.ask(text, MODEL)
        await self.until(lambda: len(self.page.messages) == before + 2, 60, "the question")
        await self.ended(status, timeout)
        return self.answer

    async def ended(self, status: str = "finished", timeout: float = 90) -> None:  # noqa: ASYNC109 its own words
        await self.until(lambda: self.page.messages and self.answer.status == status, timeout, f"the end, {status}")

    async def reached(self, words: int) -> None:
        await self.until(lambda: self.page.messages and self.answer.text.count(" ") >= words, 90, f"word {words}")


@asynccontextmanager
async def tab(at: int, path: str = "/", token: str = "", origin: int | None = None) -> AsyncIterator[Reader]:
    """A tab that shows this address of the server at port ``at``; ``origin`` is the page's port, if it is another."""
    page = f"http://localhost:{origin or at}"
    async with Reader(f"http://localhost:{at}", path, token=token, origin=page) as reader:
        await reader.until(lambda: reader.page.opened, what="the transcript")
        yield reader


def of(n: int, rate: float) -> str:
    return f"n={n} rate={rate} kind=numbered ttft=0"


def whole(n: int) -> str:
    return " ".join(numbered(n))
