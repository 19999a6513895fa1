"""What docs/tools.md says is true."""

from __future__ import annotations

import re
from pathlib import Path

from streamchat.chat.json_depth import MAX_DEPTH
from streamchat.settings import load_settings
from streamchat.tools import Context, Toolbox
from streamchat.tools.definition import MAX_BYTES, TIMEOUT
from streamchat.tools.execution import MAX_STUCK, MAX_STUCK_PER_OWNER
from streamchat.tools.mcp import read_specs
from streamchat.tools.mcp.bounded_schema import MAX_STEPS
from streamchat.tools.mcp.server import Patience
from streamchat.tools.mcp.tool_adapter import TIMEOUT as MCP_TIMEOUT
from streamchat.tools.thread import MAX_LINE, MAX_LINES
from streamchat.wiring.build_tools import build_servers, build_toolbox
from tests import ROOT
from tests.unit.tools.running import result_of

PAGE = ROOT / "docs" / "tools.md"
TEXT = PAGE.read_text()


async def test_the_example_is_a_whole_tool(tmp_path: Path, monkeypatch) -> None:
    """Five lines in a file, one setting: it is on offer beside the built-in ones, and it runs."""
    (source,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len([line for line in source.splitlines() if line.strip()]) == 5
    (tmp_path / "my_tools.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    monkeypatch.setenv("STREAMCHAT_MODULES", "my_tools")
    settings = load_settings()
    toolbox = build_toolbox(settings, build_servers(settings))
    tool = toolbox.get("convert")
    assert tool is not None
    assert tool.spec.description == "Convert dollars to euros."
    assert (await result_of(tool, {"amount": 10}, Context("local", "c"))).result == 9.2
    assert "STREAMCHAT_MODULES=my_tools" in TEXT


def test_the_built_in_tools_are_those_of_the_table() -> None:
    """Each is there, in this order."""
    settings = load_settings()
    table = TEXT.partition("## Built-in tools")[2].partition("##")[0]
    told = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert [tool.name for tool in build_toolbox(settings, build_servers(settings)).offered()] == told


def test_the_example_of_mcp_servers_can_be_read(monkeypatch) -> None:
    """As the page quotes it."""
    (value,) = re.findall(r"STREAMCHAT_MCP='(.*)'", TEXT)
    monkeypatch.setenv("STREAMCHAT_MCP", value)
    names = [spec.name for spec in read_specs(load_settings().mcp)]
    assert names == ["time", "files", "web"]
    assert build_servers(load_settings()).names == tuple(names)


def test_the_limits_are_those_of_the_code() -> None:
    """Numbers on a page get old; these do not."""
    assert f"`@tool(timeout={TIMEOUT:g})`" in TEXT
    assert f"`@tool(max_bytes={MAX_BYTES})`" in TEXT
    assert f"{MAX_LINES} progress lines of {MAX_LINE} characters" in TEXT
    assert f"With {MAX_STUCK_PER_OWNER} abandoned calls of one user, or {MAX_STUCK} of all" in TEXT
    assert f"A call may take {MCP_TIMEOUT:g} seconds" in TEXT
    assert f"more than {MAX_STEPS:,} steps" in TEXT
    assert f"nested deeper than {MAX_DEPTH} levels" in TEXT
    assert f"does not respond within {Patience().connect:g} seconds" in TEXT
    assert Toolbox().servers() == ()
