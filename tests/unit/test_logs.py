"""What is logged names the run that it is about, as text and as JSON, and nothing of what is in local variables."""

import json
import subprocess
import sys

import pytest

from tests import ROOT

PROGRAM = """
import asyncio, logging, sys
from streamchat.logs import note_run, set_up_logging

set_up_logging(sys.argv[1])
log = logging.getLogger("a.library")

async def run(name):
    note_run(name)
    await asyncio.sleep(0)
    secret = "sk-" + "CANARY"
    log.warning("late: %s", "é\\n2")
    try:
        raise OSError("no route")
    except OSError:
        log.exception("gone")
    await asyncio.to_thread(log.warning, "in a thread")

async def main():
    await asyncio.gather(run("r-1"), run("r-2"))
    log.info("not shown")
    log.error("of no run")

asyncio.run(main())
"""


@pytest.fixture(scope="module", params=["text", "json"])
def logged(request: pytest.FixtureRequest) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, request.param], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return request.param, done.stderr


def test_each_line_names_its_run(logged: tuple[str, str]):
    form, text = logged
    assert "CANARY" not in text
    assert "not shown" not in text
    if form == "text":
        assert [text.count(f"in a thread (run {run})\n") for run in ("r-1", "r-2")] == [1, 1]
        assert [text.count(f"WARNING a.library: late: é\n2 (run {run})") for run in ("r-1", "r-2")] == [1, 1]
        assert [text.count(f"ERROR a.library: gone (run {run})\nTraceback") for run in ("r-1", "r-2")] == [1, 1]
        assert text.endswith("ERROR a.library: of no run\n")
        return
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line.get("run") for line in lines if line["event"] == "late: é\n2"] == ["r-1", "r-2"]
    assert {line["run"] for line in lines if line["event"] == "in a thread"} == {"r-1", "r-2"}
    failed = [line for line in lines if line["event"] == "gone"]
    assert {line["run"] for line in failed} == {"r-1", "r-2"}
    assert all("OSError: no route" in line["exception"] and line["level"] == "error" for line in failed)
    assert lines[-1].items() >= {"event": "of no run", "logger": "a.library"}.items()
    assert "run" not in lines[-1]
    assert lines[-1]["timestamp"].endswith("Z")
