"""``streamchat ask`` as a person uses it: in a terminal, in a pipe, and with Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from devservers.app import ROOT, environment
from devservers.ports import free_port
from streamchat.chat import events as e
from streamchat.chat.wire import event_to_wire
from streamchat.client.terminal import harmless
from streamchat.tools import tool
from tests.integration.web.conftest import Api, MakeApi
from tests.support.people import Person

PATIENCE = 30


@dataclass
class Asked:
    """A program that asks, in a pipe or (``terminal``) in front of a person."""

    process: asyncio.subprocess.Process
    terminal: int | None = None
    seen: str = ""
    tasks: list[asyncio.Task] = field(default_factory=list)

    async def read(self) -> None:
        """Everything that is said on stdout, as it comes."""
        loop, heard = asyncio.get_running_loop(), asyncio.Queue[bytes]()
        if self.terminal is None:
            assert self.process.stdout is not None
            while data := await self.process.stdout.read(4096):
                self.seen += data.decode()
            return

        def ready() -> None:
            try:
                heard.put_nowait(os.read(self.terminal or 0, 4096))
            except OSError:  # the other side has closed
                heard.put_nowait(b"")

        loop.add_reader(self.terminal, ready)
        try:
            while data := await heard.get():
                self.seen += data.decode(errors="replace")
        finally:
            loop.remove_reader(self.terminal)

    async def until(self, text: str) -> None:
        """Until this was said."""
        async with asyncio.timeout(PATIENCE):
            while text not in self.seen:
                assert self.process.returncode is None or not self.tasks[0].done(), self.seen
                await asyncio.sleep(0.01)

    async def end(self) -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        async with asyncio.timeout(PATIENCE):
            err = await self.process.stderr.read() if self.process.stderr else b""
            code = await self.process.wait()
            await self.tasks[0]
        return code, self.seen, err.decode()


@asynccontextmanager
async def asking(
    *arguments: str, terminal: bool = False, person: bool = False, stdin: int | None = None, **variables: str
) -> AsyncIterator[Asked]:
    """``person``: the terminal's input is a person's too. ``variables``: of the environment."""
    ours, its = pty.openpty() if terminal else (None, asyncio.subprocess.PIPE)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streamchat", "ask", *arguments),
        cwd=ROOT,
        env=environment({"COLUMNS": "80"} | variables),
        stdin=its if person else asyncio.subprocess.DEVNULL if stdin is None else stdin,
        stdout=its,
        stderr=its if terminal else asyncio.subprocess.PIPE,
    )
    if terminal:
        os.close(its)
    asked = Asked(process, ours)
    asked.tasks.append(asyncio.create_task(asked.read()))
    try:
        yield asked
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await asyncio.gather(*asked.tasks, return_exceptions=True)
        if ours is not None:
            os.close(ours)


async def run_of(api: Api) -> str:
    """The id of the run that was begun."""
    async with asyncio.timeout(PATIENCE):
        while not (found := api.world.runs.active_ids()):
            await asyncio.sleep(0.01)
    return found[0]


async def test_text_comes_as_it_comes_and_nothing_else_is_in_the_pipe(api: Api):
    """Each piece at once; tool calls, notices and the end go to stderr; exit code 0."""
    async with asking("--url", api.url, "What", "is", "it?") as asked:
        api.provider.say(e.TextDelta("one "))
        await asked.until("one ")
        api.provider.say(e.Notice("seam", "It goes on."), e.TextDelta("two"))
        await asked.until("one two")
        api.provider.say(e.UsageReported(1, 2), e.Finished())
        code, out, err = await asked.end()
    assert (code, out) == (0, "one two\n")
    assert err == "It goes on.\n"
    assert api.provider.requests[0].messages[-1].text == "What is it?"


async def test_events_one_a_line_for_programs(api: Api):
    """The run first, then every event with its number; control characters are escaped."""
    said: list[e.Event] = [e.TextDelta("a\x1b[31m\x9b é"), e.UsageReported(1, 2), e.Finished()]
    async with asking("--url", api.url, "--json", "hi") as asked:
        api.provider.say(*said)
        code, out, err = await asked.end()
    assert (code, err) == (0, "")
    assert out.isascii()
    assert "\x1b" not in out
    first, *rest = map(json.loads, out.splitlines())
    assert first["type"] == "run"
    assert rest[-1].pop("timing")["ttft_ms"] >= 0
    assert rest == [{"seq": n, **event_to_wire(event)} for n, event in enumerate(said, 1)]


async def test_ctrl_c_stops_the_run_and_says_so(api: Api):
    """The run ends as stopped with what had arrived, at the server too; exit code 130."""
    async with asking("--url", api.url, "hi") as asked:
        api.provider.say(e.TextDelta("half an"))
        await asked.until("half an")
        run_id = await run_of(api)
        asked.process.send_signal(signal.SIGINT)
        code, out, err = await asked.end()
    assert (code, out) == (130, "half an\n")
    assert err.startswith("Stopped")
    assert (await api.world.ended(run_id)).status == "stopped"
    assert api.provider.closed == 1


async def test_following_ends_with_ctrl_c_the_run_does_not(api: Api):
    """What there was comes first; Ctrl-C ends the reading and says how to go on; the run goes on."""
    run_id = await api.start()
    api.provider.say(e.TextDelta("it began"))
    async with asking("--url", api.url, f"--follow={run_id}") as asked:
        await asked.until("it began")
        asked.process.send_signal(signal.SIGINT)
        code, _, err = await asked.end()
    assert code == 130
    assert f"--follow={run_id}" in err
    assert api.world.runs.active_ids() == [run_id]
    async with asking("--url", api.url, f"--follow={run_id}") as asked:
        api.provider.say(e.TextDelta(" and ended"), e.Finished())
        assert await asked.end() == (0, "it began and ended\n", "")


async def test_what_is_not_complete_says_so(api: Api):
    """A cut answer and a failed one have a sentence on stderr and a code of their own; the text stays."""
    for said, code, sentence in (
        ((e.TextDelta("half"), None), 3, "cut off"),
        ((e.TextDelta("half"), e.Finished("length")), 3, "token limit"),
        ((e.TextDelta("half"), e.Failed("The provider broke.")), 1, "The provider broke."),
    ):
        async with asking("--url", api.url, "hi") as asked:
            api.provider.say(*said)
            got, out, err = await asked.end()
        assert (got, out) == (code, "half\n"), err
        assert sentence in err
        assert len(err.splitlines()) == 1


async def test_what_cannot_be_asked_is_one_sentence(api: Api):
    """No server there, an unknown model, an unknown run, no question: exit code 1, no traceback."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    for arguments, sentence in (
        (("--url", nowhere, "hi"), "Is it running?"),
        (("--url", api.url, "--model", "no:such", "hi"), "no model named"),
        (("--url", api.url, "--follow", "nothing"), "does not exist"),
        (("--url", api.url), "empty"),
        (("--url", "localhost:3000", "hi"), "is not an address"),
        (("--url", "http://[x", "hi"), "is not an address"),
        (("--url", "http://localhost:99999", "hi"), "is not an address"),
    ):
        async with asking(*arguments) as asked:
            code, out, err = await asked.end()
        assert (code, out) == (1, ""), err
        assert sentence in err
        assert len(err.splitlines()) == 1


async def test_a_server_with_accounts_is_asked_with_a_key(make_api: MakeApi):
    """The key is read from the environment, for a question and for a run that exists; 401 names it in one line."""
    async with make_api(STREAMCHAT_ACCOUNTS="open") as api, Person(api.url) as anna:
        await anna.sign_up()
        key = (await anna.new_key())["key"]
        async with asking("--url", api.url, "--json", "hi", STREAMCHAT_API_KEY=f" {key}\r\n") as asked:
            api.provider.say(e.TextDelta("for Anna"), e.Finished())
            code, out, err = await asked.end()
        assert (code, err) == (0, "")
        run_id = json.loads(out.splitlines()[0])["run_id"]
        async with asking("--url", api.url, f"--follow={run_id}", STREAMCHAT_API_KEY=key) as asked:
            assert await asked.end() == (0, "for Anna\n", "")
        for wrong, sentence in (
            ("", f"Sign in first: set STREAMCHAT_API_KEY to an API key, which you create on {api.url}/account."),
            ("sck_no", "API key is unknown, was revoked or has expired (STREAMCHAT_API_KEY)."),
            ("two\nlines", "STREAMCHAT_API_KEY is not an API key."),
            ("schlüssel", "STREAMCHAT_API_KEY is not an API key."),
        ):
            async with asking("--url", api.url, "hi", STREAMCHAT_API_KEY=wrong) as asked:
                code, out, err = await asked.end()
            assert (code, out) == (1, ""), err
            assert sentence in err
            assert len(err.splitlines()) == 1


async def test_the_question_may_come_through_a_pipe(api: Api):
    """Where none is given."""
    reader, writer = os.pipe()
    os.write(writer, "Was heißt das?\nUnd das?".encode())
    os.close(writer)
    async with asking("--url", api.url, stdin=reader) as asked:
        os.close(reader)
        api.provider.say(e.TextDelta("so"), e.Finished())
        assert (await asked.end())[0] == 0
    assert api.provider.requests[0].messages[-1].text == "Was heißt das?\nUnd das?"


async def test_a_reader_that_closes_the_pipe_ends_quietly(api: Api):
    """As with ``| head``: no traceback, and the run goes on."""
    async with asking("--url", api.url, "hi") as asked:
        api.provider.say(e.TextDelta("first\n"))
        await asked.until("first")
        asked.process._transport.get_pipe_transport(1).close()  # pyrefly: ignore[missing-attribute] the pipe's reader goes
        run_id = await run_of(api)
        for _ in range(100):
            api.provider.say(e.TextDelta("more\n"))
            await asyncio.sleep(0.01)
        assert asked.process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            assert await asked.process.stderr.read() == b""
            assert await asked.process.wait() == 141
    assert api.world.runs.active_ids() == [run_id]


async def test_a_terminal_shows_a_spinner_then_the_answer(api: Api):
    """It turns until the first word, is wiped, and stands for thinking and tools. A dim line says how to go on."""
    async with asking("--url", api.url, "hi", terminal=True) as asked:
        await asked.until("Waiting")
        api.provider.say(e.ReasoningDelta("hm"))
        await asked.until("Thinking")
        api.provider.say(e.TextDelta("It is "))
        await asked.until("It is ")
        said = asked.seen
        api.provider.say(e.TextDelta("noon."), e.Finished())
        code, out, _ = await asked.end()
    assert code == 0
    assert "\x1b[K" in said.rpartition("Thinking")[2]
    shown = re.sub(r"\r\x1b\[K(\x1b\[2m[^\x1b]*\x1b\[0m)?", "", out)
    assert re.fullmatch(r"It is noon\.\r\n\x1b\[2mto go on: --conversation=(\S+)\x1b\[0m\r\n", shown), ascii(shown)
    listed = (await api.client.get("/api/conversations")).json()["conversations"]
    assert f"--conversation={listed[0]['id']}" in shown


@tool(approve=True)
async def send(to: str) -> str:
    """Something that cannot be taken back."""
    return f"sent to {to}"


CALL = (e.ToolCallStarted("c1", "send"), e.ToolCallReady("c1", {"to": "Ada"}), e.Finished("tool-calls"))


@pytest.mark.parametrize(("word", "line"), [("y", "✓ send: sent to Ada"), ("", "✗ send: The person did not allow")])
async def test_a_person_is_asked_about_a_call_that_waits(make_api: MakeApi, word: str, line: str):
    """With what it would do; only a yes allows it; the answer goes on with what came of it."""
    async with make_api(tools=(send,)) as api:
        async with asking("--url", api.url, "send it", terminal=True, person=True) as asked:
            api.provider.say(*CALL)
            await asked.until('Allow send {"to": "Ada"}? [y/N]')
            assert asked.terminal is not None
            os.write(asked.terminal, f"{word}\n".encode())
            api.provider.say(e.TextDelta("Well."), e.Finished())
            code, out, _ = await asked.end()
        assert code == 0
        assert line in out
        assert "Well." in out


async def test_what_was_decided_elsewhere_is_not_asked_any_more(make_api: MakeApi):
    """The page says yes while the terminal asks: the answer goes on there too. In a pipe nobody is asked."""
    async with make_api(tools=(send,)) as api:
        for person in (True, False):
            async with asking("--url", api.url, "send it", terminal=person, person=person) as asked:
                run_id = await run_of(api)  # a run that waits is not among those that are under way
                api.provider.say(*CALL)
                await api.world.reached(run_id, "waiting")
                if person:
                    await asked.until("[y/N]")
                answer = await api.client.post(f"/api/runs/{run_id}/decisions", json={"call_id": "c1", "approve": True})
                assert answer.status_code == 200
                api.provider.say(e.TextDelta("Done."), e.Finished())
                code, out, err = await asked.end()
            assert code == 0
            assert "Done." in out
            assert "sent to Ada" in (out if person else err)
            assert person or f"{api.url}/c/" in err


async def test_a_model_has_no_power_over_the_terminal(api: Api):
    """Colours, titles, the clipboard, the cursor: every escape that an answer holds is shown, none is sent."""
    evil = "\x1b[31mred\x1b]0;title\x07 \x1b]52;c;aGk=\x07 \x9b2J \x08\x7f \u202egnp.exe"
    async with asking("--url", api.url, "hi", terminal=True) as asked:
        api.provider.say(e.TextDelta(evil), e.Notice("seam", evil), e.Finished("\x1b[1m"))
        _, out, _ = await asked.end()
    ours = re.sub(r"\x1b\[(2m|0m|K)|[\r\n]", "", out)
    assert all(ord(char) >= 32 and not 0x7F <= ord(char) < 0xA0 for char in ours), ascii(ours)
    assert "\u202e" not in out
    assert "␛[31mred" in out


@pytest.mark.parametrize("text", ["plain\ttext\n", "Grüße 👩‍🚀 日本語", "\u05e9\u05dc\u05d5\u05dd"])
def test_ordinary_text_stays_as_it_is(text: str):
    """Nothing that people write is touched."""
    assert harmless(text) == text
