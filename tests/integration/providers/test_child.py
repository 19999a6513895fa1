"""SubprocessServer processes: started once, gone when asked, gone when their parent is."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from streamchat.errors import ProviderError
from streamchat.processes.subprocess_server import SubprocessServer
from tests import ROOT

PARENT = """
import asyncio
from streamchat.processes.subprocess_server import SubprocessServer

async def main():
    child = SubprocessServer("simulator", "streamchat.simulator")
    await child.start()
    print(child.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether the process ends within the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def seen_by_others(pid: int | None) -> bytes:
    """Arguments and environment of a process."""
    proc = Path(f"/proc/{pid}")
    if not proc.exists():
        pytest.skip("no /proc on this system")
    return (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules a child can run."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


async def test_concurrent_starts_are_one_start():
    """Twenty callers at once get the same child, and it answers with the key that it was given."""
    child = SubprocessServer("simulator", "streamchat.simulator")
    try:
        addresses = await asyncio.gather(*(child.start() for _ in range(20)))
        assert len(set(addresses)) == 1
        address = addresses[0]
        async with httpx2.AsyncClient(base_url=address.url) as client:
            good = await client.get("/v1/models", headers={"authorization": f"Bearer {address.api_key}"})
            bad = await client.get("/v1/models", headers={"authorization": "Bearer wrong"})
        assert (good.status_code, bad.status_code) == (200, 401)
    finally:
        await child.close()


async def test_the_key_is_in_no_argument_and_no_environment():
    """Who can list processes cannot read the key; our own secrets are not handed on."""
    child = SubprocessServer("simulator", "streamchat.simulator")
    os.environ["OPENAI_API_KEY"] = "sk-canary-of-the-child-test"
    try:
        address = await child.start()
        told = seen_by_others(child.pid)
        assert address.api_key.encode() not in told
        assert b"sk-canary-of-the-child-test" not in told
        assert address.api_key not in repr(address)
    finally:
        del os.environ["OPENAI_API_KEY"]
        await child.close()


async def test_close_ends_it_and_may_be_called_twice():
    """After close the process is gone; closing again, or before any start, does nothing; start starts anew."""
    child = SubprocessServer("simulator", "streamchat.simulator")
    await child.close()
    await child.start()
    first = child.pid
    assert first is not None
    await child.close()
    await child.close()
    assert gone(first)
    assert child.pid is None
    await child.start()
    assert child.pid not in (None, first)
    await child.close()


async def test_a_dead_child_is_started_again():
    """Killed from outside, the next use gets a new one."""
    child = SubprocessServer("simulator", "streamchat.simulator")
    try:
        before = await child.start()
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(10):
            while child.pid is not None:
                await asyncio.sleep(0.01)
        after = await child.start()
        assert child.pid != first
        assert after.api_key != before.api_key
    finally:
        await child.close()


def test_the_child_dies_with_a_parent_that_is_killed():
    """kill -9 of the parent leaves no orphan."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not gone(pid, 0.3)
    finally:
        parent.kill()
        parent.communicate()
    assert gone(pid)


def test_one_child_serves_several_event_loops():
    """A child is bound to no loop: a second asyncio.run finds the one that the first started."""
    child = SubprocessServer("simulator", "streamchat.simulator")
    first = asyncio.run(child.start())
    assert asyncio.run(child.start()) == first
    asyncio.run(child.close())


async def test_a_crash_at_the_start_is_a_sentence_without_secrets(modules: Path):
    """The last line of stderr is told, the key in it is not, and no traceback is."""
    (modules / "crash.py").write_text("key = input()\nraise SystemExit(f'no luck with {key} and sk-abcdef123')\n")
    child = SubprocessServer("gadget", "crash")
    with pytest.raises(ProviderError) as caught:
        await child.start()
    assert "The gadget ended before it was ready (exit code 1): no luck with" in caught.value.user_message
    assert "sk-" not in caught.value.user_message
    assert "Traceback" not in caught.value.user_message
    await child.close()


async def test_an_error_that_the_child_reports_is_told_as_it_is(modules: Path):
    """The child's own sentence reaches the caller, after lines that are none of ours."""
    (modules / "sorry.py").write_text("""print("banner")\nprint('{"error": "There is no cheese."}', flush=True)\n""")
    child = SubprocessServer("gadget", "sorry")
    with pytest.raises(ProviderError, match=r"^There is no cheese\.$"):
        await child.start()
    await child.close()


async def test_a_start_that_takes_too_long_ends(modules: Path):
    """A child that never reports is killed at its deadline, with a sentence."""
    (modules / "sleepy.py").write_text("import time\ntime.sleep(600)\n")
    child = SubprocessServer("gadget", "sleepy", timeout=0.5)
    with pytest.raises(ProviderError, match=r"not ready within 0\.5 seconds"):
        await child.start()
    await child.close()


async def test_a_child_that_will_not_end_is_killed(modules: Path):
    """One that ignores the end of stdin is gone within a few seconds all the same."""
    (modules / "stubborn.py").write_text("""import time\nprint('{"port": 1}', flush=True)\ntime.sleep(600)\n""")
    child = SubprocessServer("gadget", "stubborn")
    await child.start()
    pid = child.pid
    assert pid is not None
    await child.close()
    assert gone(pid, 1)


async def test_a_child_that_chatters_is_not_blocked(modules: Path):
    """Megabytes on stdout and stderr do not fill a pipe that nobody reads."""
    (modules / "chatter.py").write_text(
        "import sys\nfor stream in (sys.stdout, sys.stderr):\n    stream.write('x' * 99 + '\\n')\n"
        "for i in range(20000):\n    print('y' * 99)\n    print('z' * 99, file=sys.stderr)\n"
        """print('{"port": 1}', flush=True)\nsys.stdin.read()\n"""
    )
    child = SubprocessServer("gadget", "chatter")
    await child.start()
    assert child.last_lines
    await child.close()
