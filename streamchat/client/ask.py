"""``streamchat ask "…"``: one answer in the terminal, as it comes.

Knows the client and the terminal. Exit codes: 0 the answer is complete, 1 it failed or could not be asked for,
3 it is not complete (cut off, or stopped by somebody else), 130 stopped with Ctrl-C. Rules:

* The first Ctrl-C stops the run and waits for its ending; the second one leaves at once.
* Who follows a run that others began only stops following: the run goes on.
* A reader that closes the pipe ends this program, not the run.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from streamchat.chat.events import ToolCallReady, ToolResult, Waiting
from streamchat.chat.messages import Message, ToolCallPart
from streamchat.chat.outcome import explain
from streamchat.client.aio import AsyncClient, AsyncRun
from streamchat.client.approval import decisions
from streamchat.client.reading import Snapshot, Told
from streamchat.client.terminal import JsonLines, Screen, harmless
from streamchat.errors import InvalidInput, StreamchatError

COMPLETE, FAILED, PARTIAL, PIPE_CLOSED, INTERRUPTED = 0, 1, 3, 141, 130
# How long the first Ctrl-C waits for a run that has not begun.
BEGIN_SECONDS = 3.0
# A server that is not there is said soon; one that goes away while it answers may come back.
START_PATIENCE, PATIENCE = 2.0, 60.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """``follow``: a run to read instead of a question to ask."""

    question: str
    url: str
    model: str | None = None
    conversation_id: str | None = None
    follow: str | None = None
    as_json: bool = False


def main(wanted: Wanted) -> int:
    """Ask or follow; the exit code. Raises ``StreamchatError`` where it cannot."""
    if wanted.follow is None:
        wanted = _with_question(wanted)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue] what the terminal cannot show
    try:
        return asyncio.run(_Asking(wanted).work())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that nothing more is said at exit
        return PIPE_CLOSED


class _Asking:
    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._screen = JsonLines(sys.stdout) if wanted.as_json else Screen(sys.stdout, sys.stderr)
        self._run: AsyncRun | None = None
        self._task: asyncio.Task[Message] | None = None
        self._behind: set[asyncio.Task[None]] = set()
        self._interrupted = 0

    async def work(self) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        spinner = asyncio.create_task(self._screen.work())
        try:
            async with AsyncClient(self._wanted.url, patience=START_PATIENCE) as client:
                self._task = asyncio.create_task(self._read(client))
                message = await self._task
        except asyncio.CancelledError:
            if not self._interrupted:
                raise
            return self._left()
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            spinner.cancel()
            await asyncio.gather(spinner, return_exceptions=True)
        sentence = explain(message)
        self._screen.end(message, sentence)
        if self._interrupted and message.status == "stopped":
            return INTERRUPTED
        if message.status == "failed":
            return FAILED
        return PARTIAL if sentence else COMPLETE

    async def _read(self, client: AsyncClient) -> Message:
        wanted, screen = self._wanted, self._screen
        if wanted.follow is not None:
            run = await client.follow(wanted.follow, after=0 if wanted.as_json else None)
        else:
            run = await client.start(wanted.question, model=wanted.model, conversation_id=wanted.conversation_id)
        self._run, client.patience = run, PATIENCE
        screen.begin(run.id, run.conversation_id)
        if self._interrupted:
            self._later(self._stop())
        asking: asyncio.Task[None] | None = None
        async for entry in run.entries():
            if asking and not isinstance(entry.event, ToolCallReady | ToolResult):
                asking.cancel()  # it was decided, here or elsewhere
            screen.show(entry, run.new_text(entry.event))
            if isinstance(screen, Screen) and (waiting := _waiting(entry.event, run.message)):
                screen.waits(f"{wanted.url}/c/{run.conversation_id}", asked=sys.stdin.isatty())
                if sys.stdin.isatty():
                    asking = self._later(self._decide(client, run, waiting))
        return await run.final()

    async def _decide(self, client: AsyncClient, run: AsyncRun, call_ids: Sequence[str]) -> None:
        async with aclosing(decisions(run.message, call_ids)) as decided:
            async for call_id, approve in decided:
                try:
                    await client.decide(run.id, call_id, approve)
                except StreamchatError as error:
                    print(harmless(error.user_message), file=sys.stderr)  # noqa: T201 the terminal is this module's page

    def _interrupt(self) -> None:
        self._interrupted += 1
        if self._interrupted > 1 or self._wanted.follow is not None:
            self._leave()
        elif self._run is not None:
            self._later(self._stop())
        else:
            asyncio.get_running_loop().call_later(BEGIN_SECONDS, lambda: self._run or self._leave())

    def _later(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)
        return task

    async def _stop(self) -> None:
        assert self._run is not None
        try:
            await self._run.stop()
        except StreamchatError as error:
            print(harmless(error.user_message), file=sys.stderr)  # noqa: T201 the terminal is this module's page
            self._leave()

    def _leave(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _left(self) -> int:
        where = self._run.id if self._run else None
        text = f"The answer goes on; to read it: streamchat ask --follow={where}" if where else "Nothing was asked."
        with suppress(OSError):
            print(f"\n{harmless(text)}", file=sys.stderr)  # noqa: T201 the terminal is this module's page
        return INTERRUPTED


def _waiting(event: Told, message: Message) -> Sequence[str]:
    """The calls that this event says wait for a person."""
    if isinstance(event, Waiting):
        return event.call_ids
    if isinstance(event, Snapshot) and message.status == "waiting":
        calls = (part for part in message.parts if isinstance(part, ToolCallPart))
        return [call.id for call in calls if call.state == "awaiting-approval"]
    return ()


def _with_question(wanted: Wanted) -> Wanted:
    """The question, read from a pipe where none is given."""
    question = wanted.question
    if question in ("", "-"):
        if question == "" and sys.stdin.isatty():
            raise InvalidInput('What do you want to ask? For example: streamchat ask "Hello"')
        question = sys.stdin.read()
    return Wanted(question, wanted.url, wanted.model, wanted.conversation_id, None, wanted.as_json)
