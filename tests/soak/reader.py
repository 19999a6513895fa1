"""A tab without a browser whose last answer is looked at."""

from __future__ import annotations

import time

from tests.e2e.chat_page import numbered
from tests.soak.model import Frame, Shown
from tests.soak.tab import Tab

MODEL = "openai:tour"


class Reader(Tab):
    """A tab that remembers when its answer had how much text."""

    def __init__(self, url: str, path: str = "/") -> None:
        super().__init__(url, path, on_frame=self._arrived)
        self.arrivals: list[tuple[float, int]] = []

    def _arrived(self, frame: Frame) -> None:
        if "t" in frame:
            self.arrivals.append((time.monotonic(), len(frame["t"].split())))

    @property
    def answer(self) -> Shown:
        return list(self.page.messages.values())[-1]

    @property
    def notices(self) -> list[str]:
        return [part["text"] for part in self.answer.parts if part["type"] == "notice"]

    def words_between(self, start: float, end: float) -> int:
        return sum(words for at, words in self.arrivals if start <= at <= end)

    async def answered(self, text: str, status: str = "finished", timeout: float = 30) -> Shown:  # noqa: ASYNC109
        """Ask, and wait for the end."""
        before = len(self.page.messages)
        await self.ask(text, MODEL)
        await self.until(lambda: len(self.page.messages) == before + 2, 15, "the question")
        await self.ended(status, timeout)
        return self.answer

    async def ended(self, status: str = "finished", timeout: float = 30) -> None:  # noqa: ASYNC109 its own words
        await self.until(lambda: self.page.messages and self.answer.status == status, timeout, f"the end, {status}")

    async def reached(self, words: int) -> None:
        await self.until(lambda: self.page.messages and self.answer.text.count(" ") >= words, 30, f"word {words}")


def of(n: int, rate: float) -> str:
    return f"n={n} rate={rate} kind=numbered ttft=0"


def whole(n: int) -> str:
    return " ".join(numbered(n))
