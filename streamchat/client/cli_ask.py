"""``streamchat ask "…"``: streams one answer to the terminal.

Knows the client and the terminal, but not the transport. Exit codes: 0 the answer is complete, 1 it failed or could
not be requested, 3 it is incomplete (cut off, or stopped by another client), 130 stopped with Ctrl-C. Rules:

* The first Ctrl-C stops the run and waits for its ending; the second one exits at once.
* With ``--follow``, Ctrl-C only stops reading: the run continues.
* A reader that closes the pipe ends this program, not the run.
* An API key comes from the environment only: a command line is seen by everybody on the machine.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

from streamchat.chat.events import ToolCallReady, ToolResult, Waiting
from streamchat.chat.messages import Message, ToolCallPart
from streamchat.chat.outcome import explain
from streamchat.client.async_client import AsyncClient, AsyncRun
from streamchat.client.cli_approval import decisions
from streamchat.client.protocol import Refused
from streamchat.client.run_state import ClientEvent, Snapshot
from streamchat.client.terminal import JsonLines, Screen, harmless
from streamchat.errors import InvalidInput, StreamchatError

KEY_VARIABLE = "STREAMCHAT_API_KEY"
COMPLETE, FAILED, PARTIAL, PIPE_CLOSED, INTERRUPTED = 0, 1, 3, 141, 130
# How long the first Ctrl-C waits for a run that has not started.
BEGIN_SECONDS = 3.0
# Seconds: an unreachable server is reported soon; one that goes away during an answer may come back.
START_PATIENCE, PATIENCE = 2.0, 60.0


@dataclass(frozen=True, slots=True)
class AskOptions:
    """Parsed command line. ``follow``: the id of a run to read instead of asking ``question``. ``key``: an API key."""

    question: str
    url: str
    model: str | None = None
    conversation_id: str | None = None
    follow: str | None = None
    as_json: bool = False
    key: str = field(default="", repr=False)


def main(options: AskOptions) -> int:
    """Ask a question or follow a run. Returns the exit code. Raises ``StreamchatError``."""
    options = replace(options, key=_checked_key(options.key))
    if options.follow is None:
        options = _with_question(options)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # pyrefly: ignore[missing-attribute] what the terminal cannot show
    try:
        return asyncio.run(_Session(options).work())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit does not fail again
        return PIPE_CLOSED
    except Refused as error:
        if error.status != 401:
            raise
        raise Refused(_with_key_hint(error, options), status=error.status, kind=error.kind) from None


class _Session:
    def __init__(self, options: AskOptions) -> None:
        self._options = options
        self._screen = JsonLines(sys.stdout) if options.as_json else Screen(sys.stdout, sys.stderr)
        self._run: AsyncRun | None = None
        self._task: asyncio.Task[Message] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._interrupts = 0

    async def work(self) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        spinner = asyncio.create_task(self._screen.work())
        try:
            key = self._options.key
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            async with AsyncClient(self._options.url, patience=START_PATIENCE, headers=headers) as client:
                self._task = asyncio.create_task(self._read(client))
                message = await self._task
        except asyncio.CancelledError:
            if not self._interrupts:
                raise
            return self._report_exit()
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            spinner.cancel()
            await asyncio.gather(spinner, return_exceptions=True)
        explanation = explain(message)
        self._screen.end(message, explanation)
        if self._interrupts and message.status == "stopped":
            return INTERRUPTED
        if message.status == "failed":
            return FAILED
        return PARTIAL if explanation else COMPLETE

    async def _read(self, client: AsyncClient) -> Message:
        options, screen = self._options, self._screen
        if options.follow is not None:
            run = await client.follow(options.follow, after=0 if options.as_json else None)
        else:
            run = await client.start(options.question, model=options.model, conversation_id=options.conversation_id)
        self._run, client.patience = run, PATIENCE
        screen.begin(run.id, run.conversation_id)
        if self._interrupts:
            self._spawn(self._stop())
        prompt: asyncio.Task[None] | None = None
        async for entry in run.entries():
            if prompt and not isinstance(entry.event, ToolCallReady | ToolResult):
                prompt.cancel()  # the call was decided, here or by another client
            screen.show(entry, run.new_text(entry.event))
            if isinstance(screen, Screen) and (call_ids := _awaiting_approval(entry.event, run.message)):
                screen.waits(f"{options.url}/c/{run.conversation_id}", interactive=sys.stdin.isatty())
                if sys.stdin.isatty():
                    prompt = self._spawn(self._decide(client, run, call_ids))
        return await run.final()

    async def _decide(self, client: AsyncClient, run: AsyncRun, call_ids: Sequence[str]) -> None:
        async with aclosing(decisions(run.message, call_ids)) as answers:
            async for call_id, approve in answers:
                try:
                    await client.decide(run.id, call_id, approve)
                except StreamchatError as error:
                    print(harmless(error.user_message), file=sys.stderr)  # noqa: T201 the terminal is this module's page

    def _interrupt(self) -> None:
        self._interrupts += 1
        if self._interrupts > 1 or self._options.follow is not None:
            self._leave()
        elif self._run is not None:
            self._spawn(self._stop())
        else:
            asyncio.get_running_loop().call_later(BEGIN_SECONDS, lambda: self._run or self._leave())

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
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

    def _report_exit(self) -> int:
        run_id = self._run.id if self._run else None
        text = f"The answer continues; to read it: streamchat ask --follow={run_id}" if run_id else "Nothing was asked."
        with suppress(OSError):
            print(f"\n{harmless(text)}", file=sys.stderr)  # noqa: T201 the terminal is this module's page
        return INTERRUPTED


def _awaiting_approval(event: ClientEvent, message: Message) -> Sequence[str]:
    """Return the ids of the calls that await approval according to this event."""
    if isinstance(event, Waiting):
        return event.call_ids
    if isinstance(event, Snapshot) and message.status == "waiting":
        calls = (part for part in message.parts if isinstance(part, ToolCallPart))
        return [call.id for call in calls if call.state == "awaiting-approval"]
    return ()


def _checked_key(text: str) -> str:
    """Return the key without the white space around it. Raises ``InvalidInput`` for what no header can carry."""
    key = text.strip()
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise InvalidInput(f"{KEY_VARIABLE} is not an API key.")
    return key


def _with_key_hint(error: Refused, options: AskOptions) -> str:
    """Return the error message of a server that wants to know who asks, with the variable of the key."""
    why = error.user_message.rstrip(".")
    if options.key:
        return f"{why} ({KEY_VARIABLE})."
    return f"{why}: set {KEY_VARIABLE} to an API key, which you create on {options.url.rstrip('/')}/account."


def _with_question(options: AskOptions) -> AskOptions:
    """Return the options with the question read from standard input if it is missing."""
    question = options.question
    if question in ("", "-"):
        if question == "" and sys.stdin.isatty():
            raise InvalidInput('What do you want to ask? For example: streamchat ask "Hello"')
        question = sys.stdin.read()
    return replace(options, question=question)
