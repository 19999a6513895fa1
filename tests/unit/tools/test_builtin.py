"""The tools that are always there."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from streamchat.chat.tool_results import for_model, view_of
from streamchat.tools import Context, Toolbox
from streamchat.tools.builtin import builtin_tools
from tests.unit.tools.running import result_of

TOOLS = {tool.name: tool for tool in builtin_tools()}


async def run(name: str, context: Context | None = None, /, **arguments: Any):
    return await result_of(TOOLS[name], arguments, context or Context("local", "c"))


def test_they_are_there_and_described() -> None:
    """Each says what it does and what each of its parameters is; only the one that reaches out asks."""
    assert [tool.name for tool in Toolbox(builtin_tools()).offered()] == list(TOOLS)
    for tool in TOOLS.values():
        assert tool.spec.description
        assert all("description" in parameter for parameter in tool.spec.parameters["properties"].values()), tool.name
        json.dumps(tool.spec.parameters)
    assert [name for name, tool in TOOLS.items() if tool.approve] == ["fetch_url"]


# calculate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 1", "2"),
        ("(17 + 4) * sqrt(2) ** 2", "42"),
        ("0.1 + 0.2", "0.3"),
        ("10**20 / 3", "3.33333333333333e+19"),
        ("2**64", "18446744073709551616"),
        ("7 // 2 + 7 % 2", "4"),
        ("-3 ** 2", "-9"),
        ("round(2 * pi, 3)", "6.283"),
        ("max(1, 2, 3) - min(4, 5)", "-1"),
        ("factorial(20)", "2432902008176640000"),
        ("log(1000) + ln(e) + log(8, 2)", "7"),
        ("1 if 3 > 2 else 0", "1"),
        ("comb(49, 6)", "13983816"),
        ("  2\n", "2"),
    ],
)
async def test_arithmetic(expression: str, value: str) -> None:
    """Exact where integers are, fifteen digits where they are not."""
    assert (await run("calculate", expression=expression)).result == value


@pytest.mark.parametrize(
    "expression",
    [
        "9**9**9", "9**4000000", "2**-99999999999", "10**3000 * 10**3000 * 10**3000", "factorial(10**9)",
        "comb(10**6, 5*10**5)", "perm(10**6, 10**6)", "1e308 * 10", "1 << 10**9", "'a' * 10**9", "'a'",
        "[0] * 10**9", "(" * 400 + ")" * 400, "-" * 900 + "1", "1/0", "1 % 0", "(-8) ** 0.5", "sqrt(-1)", "2 ^ 3",
        "1j", "inf", "x", "__import__('os').system('true')", "open('/etc/passwd')", "(1).__class__",
        "().__class__.__bases__[0]", "pi.real", "[1][0]", "f'{1}'", "lambda: 1", "x = 1", "1; 2", "import os",
        "[x for x in (1, 2)]", "min()", "sqrt(1, 2, 3)", "sqrt('4')", "max(*(1, 2))", "(yield)", "await x", "1 +",
        "50%", "\0",
    ],
)  # fmt: skip
async def test_what_is_no_arithmetic_is_refused_at_once(expression: str) -> None:
    """Numbers that would fill the memory, code, nonsense: a sentence, and nothing is held up."""
    began = time.process_time()
    result = await run("calculate", expression=expression)
    assert (result.state, result.result) == ("error", None)
    assert result.error
    assert "Traceback" not in result.error
    assert time.process_time() - began < 2


# current_time


async def test_the_time_of_a_place() -> None:
    """With its day of the week and its distance from UTC."""
    result = (await run("current_time", timezone="Asia/Kolkata")).result
    assert (result["timezone"], result["utc_offset"]) == ("Asia/Kolkata", "+0530")
    told = datetime.fromisoformat(result["time"])
    assert abs((datetime.now(UTC) - told).total_seconds()) < 60
    assert result["weekday"] == told.strftime("%A")


async def test_the_time_of_the_server() -> None:
    """Where no place is named."""
    told = datetime.fromisoformat((await run("current_time")).result["time"])
    assert told.utcoffset() is not None
    assert abs((datetime.now(UTC) - told).total_seconds()) < 60


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "", "../../etc/passwd", "/etc/localtime", "Europe", "a\0b", "x" * 5000]
)
async def test_a_place_that_has_no_time(name: str) -> None:
    """Also one that would leave the folder of zones."""
    result = await run("current_time", timezone=name)
    assert result.state == "error"
    assert (result.error or "").startswith("There is no time zone")


# search_conversations


@dataclass
class Hit:
    conversation_id: str = "c1"
    title: str = "About penguins"
    role: str = "user"
    snippet: str = "«Penguins» live"
    created_at: datetime = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@dataclass
class Notes:
    """Services that keep what they were asked, and on which loop."""

    asked: list[Any] = field(default_factory=list)

    async def search(self, owner: str, query: str, *, limit: int = 20) -> list[Hit]:
        self.asked.append((owner, query, limit, asyncio.get_running_loop()))
        return [Hit()]


async def test_a_search_is_for_the_person_who_asks() -> None:
    """On the program's own loop, with the run's owner; the hits are a table."""
    notes = Notes()
    result = (await run("search_conversations", Context("ann", "c", notes), query="penguins", limit=3)).result
    assert notes.asked == [("ann", "penguins", 3, asyncio.get_running_loop())]
    assert view_of(result) == "table"
    assert result["rows"] == [["2026-01-02 03:04", "About penguins", "user", "«Penguins» live"]]
    assert "Penguins" in for_model(result)


async def test_a_search_without_a_store_is_a_sentence() -> None:
    """Where the program has none."""
    assert (await run("search_conversations", query="x")).state == "error"


# plot


async def test_a_plot_is_a_chart() -> None:
    """Labels or numbers along x, a value of each series for each."""
    series = [{"name": "rain", "values": [1, 2.5]}, {"name": "sun", "values": [3, 4]}]
    result = (await run("plot", x=["Mon", "Tue"], series=series, kind="bar", title="Weather", y_label="h")).result
    assert view_of(result) == "plot"
    assert result["series"][0] == {"name": "rain", "points": [["Mon", 1.0], ["Tue", 2.5]]}
    assert (result["kind"], result["title"], result["y_label"]) == ("bar", "Weather", "h")


@pytest.mark.parametrize(
    ("arguments", "state"),
    [
        ({"x": [1, 2], "series": [{"name": "a", "values": [1]}]}, "error"),
        ({"x": [1], "series": [{"name": "a", "values": [1]}, {"name": "a", "values": [1]}]}, "error"),
        ({"x": [], "series": [{"name": "a", "values": []}]}, "invalid"),
        ({"x": [1], "series": []}, "invalid"),
        ({"x": [1], "series": [{"name": "a", "values": ["1"]}]}, "invalid"),
        ({"x": [1], "series": [{"name": "a", "values": [None]}]}, "invalid"),
        ({"x": [1], "series": [{"name": "a", "values": [1]}], "kind": "pie"}, "invalid"),
        ({"x": [1] * 1001, "series": [{"name": "a", "values": [1] * 1001}]}, "invalid"),
        ({"x": [1], "series": [{"name": "a", "values": [1]}] * 11}, "invalid"),
    ],
)
async def test_a_plot_that_does_not_fit(arguments: dict[str, Any], state: str) -> None:
    """Lengths, names, kinds and bounds are looked at."""
    assert (await run("plot", **arguments)).state == state
