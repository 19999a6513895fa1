"""The readers of a soak that are no browsers: each plays its steps on its tab, at their time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from tests.support.page_model import Frame, Shown
from tests.support.tab import Counts, Tab
from tests.system.soak.plan import PAGES, READERS, SERVER, Step, conversation_of

MODEL = "openai"
STOPPED = f"c{conversation_of(READERS - 1)}q9999 n=2000 rate=20 kind=numbered chunk=token seed=1 ttft=0"


class Diary:
    """What was done, and when it really was."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.lines: list[str] = []

    def begin(self) -> None:
        self._began = time.monotonic()

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def write(self, what: object, outcome: str = "") -> None:
        self.lines.append(f"{self.now:6.2f} | {what}{f' -> {outcome}' if outcome else ''}")


class Crowd:
    """``paths``: where the conversations are. ``asked``: texts by client id; ``sent``, ``refused``: what became of
    them, as far as anybody was told."""

    def __init__(self, url: str, diary: Diary, kill: Callable[[], None]) -> None:
        self._url = url
        self._diary = diary
        self._kill = kill
        self._locks = {number: asyncio.Lock() for number in range(READERS)}
        self.paths: dict[int, str] = {}
        self.tabs: dict[int, Tab] = {}
        self.asked: dict[str, str] = {}
        self.sent: set[str] = set()
        self.refused: set[str] = set()
        self.gaps: list[str] = []
        self._past: list[Counts] = []

    def summary(self) -> str:
        """What it took."""
        counts = [*self._past, *(tab.counts for tab in self.tabs.values())]
        totals = {name: sum(getattr(each, name) for each in counts) for name in Counts.__slots__}
        return f"{totals}, {len(self.asked)} asked, {len(self.sent)} accepted, {len(self.refused)} refused"

    async def begin(self, firsts: Iterable[Step]) -> None:
        """Start every conversation, and bring every reader to its own."""
        for step in firsts:
            tab = self._open(step.who, "/")
            await tab.until(lambda tab=tab: tab.page.opened, 150, "a new chat")
            await self._ask(tab, step)
        for number, tab in list(self.tabs.items()):
            await tab.until(lambda tab=tab: tab.page.conversation and tab.page.messages, 150, "its conversation")
            self.paths[conversation_of(number)] = tab.path
        await self.come()

    async def stop_one(self) -> None:
        """One answer is stopped while it is written, whatever the plan meets."""
        number = READERS - 1
        tab = self.tabs[number]
        await self._ask(tab, Step(0.0, number, "ask", STOPPED))
        await tab.until(lambda: tab.page.answering and _last(tab).text, 60, "an answer under way")
        await tab.call("stop")
        await tab.until(lambda: _last(tab).status == "stopped", 60, "the end of what was stopped")

    async def play(self, steps: Iterable[Step]) -> None:
        """These steps, each at its time, whatever became of the others."""
        async with asyncio.TaskGroup() as group:
            for step in steps:
                await asyncio.sleep(step.at - self._diary.now)
                group.create_task(self._do(step))

    async def come(self) -> None:
        """Every reader is there."""
        for number in range(PAGES, READERS):
            if number not in self.tabs:
                self._open(number, self.paths[conversation_of(number)])
        for number, tab in self.tabs.items():
            await tab.until(lambda tab=tab: tab.page.opened, 150, f"reader {number}'s transcript")

    async def leave(self) -> None:
        """Nobody is there any more."""
        for number in list(self.tabs):
            await self._close(number)

    async def settle(self, seconds: float) -> None:
        """Until everybody has a whole answer before them, and nothing is on its way."""
        end = asyncio.get_running_loop().time() + seconds
        for number, tab in self.tabs.items():
            left = end - asyncio.get_running_loop().time()
            await tab.until(
                lambda tab=tab: tab.page.opened and not tab.page.answering and not tab.outbox,
                max(1, left),
                f"the end of all that reader {number} waits for",
            )

    async def _do(self, step: Step) -> None:
        if step.who == SERVER:
            await asyncio.to_thread(self._kill)
            return
        async with self._locks[step.who]:
            tab = self.tabs.get(step.who)
            self._diary.write(step, "" if tab else "is not there")
            if tab is not None:
                await self._on(tab, step)

    async def _on(self, tab: Tab, step: Step) -> None:
        match step.what:
            case "ask":
                await self._ask(tab, step)
            case "stop":
                await tab.call("stop")
            case "reload":
                await tab.reload()
            case "cut":
                await tab.cut()
            case "freeze":
                await tab.freeze()
            case "leave":
                await self._close(step.who)
                await asyncio.sleep(step.seconds)
                self._open(step.who, tab.path)

    async def _ask(self, tab: Tab, step: Step) -> None:
        client_id = f"{step.who}-{len(self.asked)}"
        self.asked[client_id] = step.text
        await tab.ask(step.text, f"{MODEL}:{step.scene}", client_id)

    def _open(self, number: int, path: str) -> Tab:
        tab = self.tabs[number] = Tab(self._url, path, on_frame=self._told)
        tab.open()
        return tab

    async def _close(self, number: int) -> None:
        tab = self.tabs.pop(number)
        self.gaps += tab.gaps
        self._past.append(tab.counts)
        await tab.close()

    def _told(self, frame: Frame) -> None:
        if frame.get("k") == "sent":
            self.sent.add(frame["client_id"])
        elif frame.get("k") == "say" and "client_id" in frame:
            self.refused.add(frame["client_id"])


def _last(tab: Tab) -> Shown:
    return list(tab.page.messages.values())[-1]
