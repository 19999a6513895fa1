"""docs/clients.md says what is there."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import re
import subprocess
import sys

from devservers.app import ROOT, environment
from streamchat import client
from streamchat.chat import events as e
from tests.integration.web.conftest import Api

PAGE = (ROOT / "docs" / "clients.md").read_text()


async def test_the_python_example_runs(api: Api):
    """As it stands, but for the server's address and the model."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert "Client()" in code
    code = code.replace("Client()", f"Client({api.url!r})").replace("simulator:tour", api.world.model)
    code += "\n    assert message.status == 'finished', message"
    api.provider.say(e.TextDelta("Hel"), e.TextDelta("lo."), e.UsageReported(1, 2), e.Finished())
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        await asyncio.to_thread(exec, code, {})
    assert out.getvalue() == "Hello."


def test_every_option_of_the_terminal_is_there():
    """The table has the options that the program has, and no others."""
    command = [sys.executable, "-m", "streamchat", "ask", "--help"]
    done = subprocess.run(command, cwd=ROOT, env=environment({}), capture_output=True, text=True, timeout=50)
    known = set(re.findall(r"^  (--[a-z]+)", done.stdout, re.MULTILINE))
    assert known == set(re.findall(r"^\| `(--[a-z]+)", PAGE, re.MULTILINE))


def test_every_name_is_there():
    """Methods, errors and functions that the page names exist."""
    calls = re.findall(r"`(\w+)\(([^`]*)\)`", PAGE.partition("`AsyncClient` is")[2].partition("| `run.")[0])
    for kind in (client.Client, client.AsyncClient):
        public = {name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")}
        assert public - {"close", "aclose"} == {name for name, _ in calls}
        for name, arguments in calls:
            parameters = inspect.signature(getattr(kind, name)).parameters.values()
            if all(one.kind is not one.VAR_KEYWORD for one in parameters):
                assert set(re.findall(r"(\w+)=…", arguments)) <= {one.name for one in parameters}, name
    for name in ("text", "events", "entries", "final"):
        assert callable(getattr(client.Run, name))
        assert callable(getattr(client.AsyncRun, name))
        assert f"run.{name}()" in PAGE
    for name in set(client.__all__) - {"Run", "AsyncRun", "Entry", "Snapshot"}:
        assert name in PAGE, name
