"""MCP servers: real ones from the registry, and one that misbehaves. None of them is a broken chat."""

from __future__ import annotations

import asyncio
import base64
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio

from streamchat.chat.events import ToolProgress
from streamchat.tools import BadArguments, Toolbox
from streamchat.tools.mcp import McpServers, read_specs
from streamchat.tools.mcp.server import Patience
from tests.unit.tools.running import events_of, result_of

HERE = Path(__file__).parent
PATIENCE = 40
QUICK = Patience(connect=30, answer=10, look=0.3, pause=0.05, longest=0.2)


def ours(*words: str) -> str:
    return shlex.join([sys.executable, str(HERE / "mcp_server.py"), *words])


@asynccontextmanager
async def running(*entries: str, patience: Patience = QUICK) -> AsyncIterator[Toolbox]:
    servers = McpServers(read_specs(entries), patience=patience)
    servers.start()
    try:
        yield Toolbox(servers=servers)
    finally:
        await servers.close()


async def until(true) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.02)


async def ready(box: Toolbox) -> None:
    await until(lambda: all(state.state == "ready" for state in box.servers()))


@pytest.fixture
async def box() -> AsyncIterator[Toolbox]:
    """The test server, connected."""
    async with running(f"test={ours()}") as toolbox:
        await ready(toolbox)
        yield toolbox


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Toolbox]:
    """The same, for all tests that leave it as it is: its start is a second of CPU."""
    async with running(f"test={ours()}") as toolbox:
        await ready(toolbox)
        yield toolbox


in_its_loop = pytest.mark.asyncio(loop_scope="module")


async def call(box: Toolbox, name: str, /, **arguments):
    tool = box.get(name)
    assert tool is not None, box.servers()
    return await result_of(tool, arguments)


# Real servers


async def test_the_reference_time_server_answers() -> None:
    """Its tools are there under its name, ask first, have their schema, and answer."""
    async with running(
        f"time={shlex.join([sys.executable, '-m', 'mcp_server_time', '--local-timezone', 'UTC'])}"
    ) as box:
        await ready(box)
        (state,) = box.servers()
        assert set(state.tools) == {"time__get_current_time", "time__convert_time"}
        tool = box.get("time__get_current_time")
        assert tool is not None
        assert (tool.approve, tool.server) == (True, "time")
        assert "timezone" in tool.spec.parameters["properties"]
        result = await call(box, "time__get_current_time", timezone="Asia/Kolkata")
        assert (result.state, result.error) == ("done", None)
        assert datetime.fromisoformat(result.result["datetime"]).utcoffset() is not None
        refused = await call(box, "time__get_current_time", timezone="Mars/Olympus")
        assert refused.state == "error"
        with pytest.raises(BadArguments):
            tool.check({"timezone": 5})


async def test_the_reference_git_server_answers(tmp_path: Path) -> None:
    """The same with a server that reads files."""
    await asyncio.to_thread(subprocess.run, ["git", "init", "-q", str(tmp_path)], check=True, timeout=30)
    (tmp_path / "new.txt").write_text("x")
    async with running(f"git={shlex.join([sys.executable, '-m', 'mcp_server_git'])}") as box:
        await ready(box)
        result = await call(box, "git__git_status", repo_path=str(tmp_path))
        assert result.state == "done"
        assert "new.txt" in str(result.result)


async def test_a_server_over_http(tmp_path: Path) -> None:
    """Streamable HTTP: the same tools; away, it is a state; back, it is used again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(HERE / "mcp_server.py"), str(port)])

    process = start()
    try:
        async with running(f"web=http://127.0.0.1:{port}/mcp") as box:
            await ready(box)
            told = await events_of(box.get("web__count"), {"n": 3})  # pyrefly: ignore[bad-argument-type] it is there
            assert told[-1].result == "counted to 3"  # pyrefly: ignore[missing-attribute] the result
            process.kill()
            process.wait()
            await until(lambda: box.servers()[0].state != "ready")
            assert box.get("web__count") is None
            process = start()
            await ready(box)
            assert (await call(box, "web__count", n=1)).state == "done"
    finally:
        process.kill()
        process.wait()


# What a server answers


@in_its_loop
async def test_progress_and_text(shared: Toolbox) -> None:
    """Lines as the server says them, and then the result."""
    told = await events_of(shared.get("test__count"), {"n": 3})  # pyrefly: ignore[bad-argument-type] it is there
    lines = [event.text for event in told if isinstance(event, ToolProgress)]
    assert lines == ["", "step 1", "step 2", "3 of 3"]
    assert told[-1].result == "counted to 3"  # pyrefly: ignore[missing-attribute] the result


@pytest.mark.parametrize(
    ("name", "state", "result", "error"),
    [
        ("html", "done", "<script>alert(1)</script>", ""),
        ("empty", "done", "", ""),
        ("structured", "done", {"a": [1, None]}, ""),
        ("wrapped", "done", [1, 2], ""),
        ("error", "error", None, "no such place"),
        ("broken_picture", "error", None, "damaged"),
        ("big", "error", None, "larger than 256 KB"),
        ("traceback", "error", None, ""),
    ],
)
@in_its_loop
async def test_answers_become_results(shared: Toolbox, name: str, state: str, result, error: str) -> None:
    """Text, structure, pictures, errors: each as what it is."""
    told = await call(shared, f"test__{name}")
    assert (told.state, told.result) == (state, result)
    assert error in (told.error or "")
    assert "Traceback" not in (told.error or "")


@in_its_loop
async def test_a_picture_is_shown(shared: Toolbox) -> None:
    """As a picture; beside a text or a structure, below it."""
    result = (await call(shared, "test__picture")).result
    assert (result["$view"], base64.b64decode(result["data"])) == ("image", b"\x89PNG")
    both = (await call(shared, "test__both")).result
    assert both == {"$view": "content", "items": ["look", result, "and here", result]}
    structured = (await call(shared, "test__structured_picture")).result
    assert structured == {"$view": "content", "items": [{"a": 1}, result]}


@in_its_loop
async def test_arguments_are_checked_before_the_server_sees_them(shared: Toolbox) -> None:
    """Against the schema that it gave; the sentence says what is wanted, not what came."""
    tool = shared.get("test__count")
    assert tool is not None
    assert tool.check({"n": 2}) == {"n": 2}
    for bad in ({}, {"n": "CANARY"}, {"n": 0}, {"n": 1.5}, {"n": float("nan")}, [], None, "x"):
        with pytest.raises(BadArguments) as caught:
            tool.check(bad)  # pyrefly: ignore[bad-argument-type] is what is tested
        assert "CANARY" not in caught.value.user_message
    assert (await call(shared, "test__count", n="3")).state == "invalid"


async def test_a_server_gets_no_keys_of_ours(monkeypatch) -> None:
    """Only what a program needs to start, and what its entry says."""
    monkeypatch.setenv("OPENAI_API_KEY", "CANARY")
    async with running(f"test=TOKEN='a b' {ours()}") as box:
        await ready(box)
        assert (await call(box, "test__env", name="OPENAI_API_KEY")).result == "not set"
        assert (await call(box, "test__env", name="TOKEN")).result == "a b"


# Servers that misbehave


async def test_a_server_that_dies_is_started_again(box: Toolbox) -> None:
    """The call that killed it is an error; a moment later its tools are back."""
    result = await call(box, "test__die")
    assert result.state == "error"
    await until(lambda: box.get("test__count") is not None and box.servers()[0].state == "ready")

    async def works() -> bool:
        tool = box.get("test__count")
        return tool is not None and (await result_of(tool, {"n": 1})).state == "done"

    async with asyncio.timeout(PATIENCE):
        while not await works():
            await asyncio.sleep(0.05)


async def test_a_call_that_hangs_ends_at_its_limit(box: Toolbox) -> None:
    """And the server goes on to serve the others."""
    tool = box.get("test__wait")
    assert tool is not None
    assert (await result_of(replace(tool, timeout=0.3))).state == "timeout"
    assert (await call(box, "test__count", n=1)).state == "done"


async def test_a_server_that_hangs_as_a_whole_is_a_state() -> None:
    """It stops answering: noticed, said in a sentence, its tools withdrawn, and tried again."""
    patience = Patience(connect=30, answer=0.5, look=0.2, pause=0.05, longest=0.1)
    async with running(f"test={ours()}", patience=patience) as box:
        await ready(box)
        tool = box.get("test__block")
        assert tool is not None
        seen = set()

        async def watch() -> None:
            while True:
                seen.update((state.state, state.sentence) for state in box.servers())
                await asyncio.sleep(0.01)

        watching = asyncio.create_task(watch())
        assert (await result_of(replace(tool, timeout=0.3))).state == "timeout"
        await until(lambda: ("failed", "It does not answer any more.") in seen)
        await ready(box)
        watching.cancel()
        assert (await call(box, "test__count", n=1)).state == "done"


async def test_servers_that_cannot_be_used_say_why() -> None:
    """One sentence each, no tools, and a server beside them works."""
    no_server = [sys.executable, str(HERE / "no_mcp_server.py")]
    bad = {
        "missing": ("no-such-program-anywhere", "The command 'no-such-program-anywhere' cannot be run."),
        "ends": (shlex.join([sys.executable, "-c", "pass"]), "It cannot be connected"),
        "silent": (shlex.join(no_server), "It did not answer in time."),
        "noise": (shlex.join([*no_server, "noise"]), "It did not answer in time."),
        "slow-list": (ours("slow-list"), "It did not answer in time."),
        "nowhere": ("http://127.0.0.1:9/mcp", "It cannot be connected"),
    }
    patience = Patience(connect=8, answer=4, look=5, pause=60, longest=60)
    entries = [f"{name}={command}" for name, (command, _) in bad.items()]
    async with running(*entries, f"good={ours()}", patience=patience) as box:
        # They have a thread of their own, in which the others may have failed already.
        patient = ("silent", "noise", "slow-list")
        assert [state.state for state in box.servers() if state.name in patient] == ["connecting"] * 3
        assert box.offered() == ()
        await until(lambda: all(state.state != "connecting" for state in box.servers()))
        found = {state.name: state for state in box.servers()}
        assert (await call(box, "good__count", n=1)).state == "done"
    for name, (_, sentence) in bad.items():
        assert (found[name].state, found[name].tools) == ("failed", ()), name
        assert sentence in found[name].sentence, name
        assert "\n" not in found[name].sentence, name


async def test_a_server_that_lies_about_its_schemas_loses_those_tools() -> None:
    """What is wrong, points elsewhere, is too large or has no usable name is left out and said; the rest works."""
    async with running(f"test={ours('lies')}") as box:
        await ready(box)
        (state,) = box.servers()
        assert state.sentence.startswith("Left out: ")
        names = {name.partition("__")[2] for name in state.tools}
        assert names & {"wrong", "nowhere", "huge", "pattern", "n" * 64} == set()
        assert {"sp_ace", "count"} <= names
        elsewhere = box.get("test__elsewhere")
        if elsewhere is not None:  # what it points at is needed only when the field is there
            with pytest.raises(BadArguments):
                elsewhere.check({"a": 1})
        assert (await call(box, "test__count", n=1)).state == "done"


async def test_a_list_without_an_end_is_cut() -> None:
    """A server that always has one more page."""
    async with running(f"test={ours('endless-list')}") as box:
        await ready(box)
        assert len(box.offered()) < 200


@in_its_loop
async def test_a_server_can_be_switched_off(shared: Toolbox) -> None:
    """By its name, or tool by tool."""
    assert shared.offered({"test"}) == ()
    assert "test__count" not in {tool.name for tool in shared.offered({"test__count"})}
    assert "test__html" in {tool.name for tool in shared.offered({"test__count"})}


async def test_the_end_ends_the_servers() -> None:
    """No process is left, and the end is not waited for without limit."""
    servers = McpServers(read_specs([f"test={ours()}"]), patience=QUICK)
    servers.start()
    box = Toolbox(servers=servers)
    await ready(box)
    began = time.monotonic()
    await servers.close()
    assert time.monotonic() - began < 15
    assert (await result_of(box.get("test__count"), {"n": 1})).state == "error"  # pyrefly: ignore[bad-argument-type] it was there


async def test_an_end_before_the_start_is_over() -> None:
    """Closing at once, or without a start, does not hang."""
    servers = McpServers(read_specs([f"test={ours()}"]), patience=QUICK)
    await servers.close()
    servers.start()
    await servers.close()
