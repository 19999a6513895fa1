"""The panel of a tool call as a person sees it, for everything that a server could tell."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.chat_page import ChatPage
from tests.support.wire import Wire

WAVE = [[i, (i * 7) % 13] for i in range(40)]
PLOT = {"$view": "plot", "kind": "line", "title": "Waves", "x_label": "t", "y_label": "h", "series": []}
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mP8z8BQz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC"


def call(state: str, call_id: str = "c", **more: Any) -> dict[str, Any]:
    return {"type": "tool_call", "id": call_id, "name": "get_weather", "state": state, "arguments": None} | more


class Told:
    """An answer with tool calls, as the server tells it to the page."""

    def __init__(self, tab: ChatPage, wire: Wire) -> None:
        self.tab, self.page, self.wire = tab, tab.page, wire
        self.generation = 10**9
        self.seq = 1

    def open(self, *parts: dict[str, Any], status: str = "streaming") -> Told:
        self.wire.mute = True
        self.generation += 1
        answer = {"id": "a", "role": "assistant", "status": status, "model": "m", "stop_reason": None, "text": ""}
        frame = {"k": "open", "g": self.generation, "conversation": None, "earlier": False, "missing": False}
        self.wire.tell(frame | {"title": "", "messages": [answer | {"seq": self.seq, "parts": list(parts)}]})
        self.page.locator("[data-message-id=a]").wait_for()
        return self

    def change(self, index: int = 0, status: str | None = None, **change: Any) -> None:
        self.seq += 1
        frame = {"k": "patch", "m": "a", "s": self.seq, "set": {str(index): change}}
        self.wire.tell(frame | ({"status": status} if status else {}))

    def panel(self, number: int = 0) -> Locator:
        return self.page.get_by_test_id("tool-panel").nth(number)


@pytest.fixture
def told(tab: ChatPage, wire: Wire) -> Told:
    return Told(tab.choose(), wire)


def test_from_the_first_fragment_to_the_result(told: Told) -> None:
    """Name and state at once, fields as they parse, labelled, never a brace; progress in order; result and duration."""
    panel = told.open(call("receiving")).panel()
    expect(panel).to_have_attribute("data-call-id", "c")
    expect(panel.locator("summary")).to_contain_text("get_weather")
    expect(panel.locator("summary")).to_contain_text("preparing")
    assert panel.inner_text().split() == ["get_weather", "preparing"]
    told.change(fields={"city": "Reyk"})
    expect(panel.locator("dl")).to_have_text("CityReyk")
    arguments = {"city": "Reykjavík", "max_days": 3, "where": {"lat": 64.1}, "tags": ["a", "b"]}
    told.change(fields=None, state="ready", arguments=arguments)
    expect(panel.locator("dt")).to_have_text(["City", "Max Days", "Where", "Lat", "Tags"])
    expect(panel.locator("dl").first).to_contain_text("64.1")
    told.change(state="running", progress=["one", "two"])
    expect(panel.locator(".progress li")).to_have_text(["one", "two"])
    assert not re.search(r"[{}\[\]\"]", panel.inner_text())
    told.change(state="done", result="Sunny.", duration_ms=1234)
    expect(panel).to_have_attribute("data-state", "done")
    expect(panel.locator("summary")).to_contain_text("1.2 s")
    expect(panel.locator(".tool-result")).to_have_text("Sunny.")


def test_ends_are_told_apart(told: Told) -> None:
    """Failure, time-out, denial, wrong arguments and the unknown each have their state and their sentence."""
    states = ["error", "timeout", "denied", "invalid", "unknown", "stopped"]
    told.open(*[call(state, state, error=f"Because {state}.") for state in states], status="finished")
    for number, state in enumerate(states):
        expect(told.panel(number)).to_have_attribute("data-state", state)
        expect(told.panel(number)).to_contain_text(f"Because {state}.")
    words = [told.panel(number).locator(".state").inner_text() for number in range(len(states))]
    assert len(set(words)) == len(states)


def test_open_and_closed_are_kept(told: Told) -> None:
    """What the reader closed stays closed through every change, the end and a reload; one that asks opens once more."""
    panel = told.open(call("receiving"), call("receiving", "d")).panel()
    panel.locator("summary").click()
    expect(panel).not_to_have_attribute("open", "")
    told.change(state="ready", arguments={"city": "Lima"})
    told.change(state="done", result="Sunny.")
    expect(panel).to_have_attribute("data-state", "done")
    expect(panel).not_to_have_attribute("open", "")
    told.panel(1).locator("summary").click()
    told.change(1, state="awaiting-approval", arguments={}, status="waiting")
    expect(told.panel(1)).to_have_attribute("open", "")
    told.wire.mute = False
    told.tab.choose()
    told.open(call("done", arguments={}, result="x"), call("done", "e", arguments={}, result="y"), status="finished")
    expect(panel).not_to_have_attribute("open", "")


def test_large_results_are_named_and_not_shown(told: Told) -> None:
    """More than 20 KB of a result are behind a button that names the size."""
    lines = "\n".join(f"line {i}" for i in range(4000))
    panel = told.open(call("done", arguments={}, result=lines), status="finished").panel()
    expect(panel).not_to_have_attribute("open", "")
    panel.locator("summary").click()
    button = panel.get_by_role("button", name="Show result (38 KB)")
    expect(panel).not_to_contain_text("line 77")
    button.click()
    expect(panel).to_contain_text("line 3999")
    panel.get_by_role("button", name="Hide result").click()
    expect(panel).not_to_contain_text("line 77")


def test_tables(told: Told) -> None:
    """A table is a table; it begins with a few rows, and scrolls sideways within itself."""
    rows = [[i, *["wide words " * 4] * 8] for i in range(1240)]
    view = {"$view": "table", "columns": ["n", *"abcdefgh"], "rows": rows}
    panel = told.open(call("done", arguments={}, result=view), status="finished").panel()
    expect(panel.locator("th")).to_have_text(["n", *"abcdefgh"])
    expect(panel.locator("tbody tr")).to_have_count(10)
    panel.get_by_role("button", name="Show all 1,240 rows").click()
    expect(panel.locator("tbody tr")).to_have_count(1240)
    sideways = "e => e.scrollWidth > e.clientWidth"
    assert panel.get_by_role("group", name="Table from get_weather").evaluate(sideways)
    assert not told.page.locator(".scroller").evaluate(sideways)


def test_pictures(told: Told) -> None:
    """A picture is shown with its name; what is none, or comes from elsewhere, is data."""
    picture = {"$view": "image", "media_type": "image/png", "name": "A dot"}
    parts = [
        call("done", arguments={}, result=picture | {"data": DOT}),
        call("done", "d", arguments={}, result=picture | {"data": "https://evil.example/x.png"}),
        call("done", "e", arguments={}, result=picture | {"data": DOT, "media_type": "image/svg+xml"}),
        call("done", "f", arguments={}, result=picture | {"data": "AAAA"}),
    ]
    told.open(*parts, status="finished")
    expect(told.panel(0).get_by_role("img", name="A dot")).to_be_visible()
    assert told.panel(0).locator("img").evaluate("e => e.decode().then(() => e.naturalWidth)") == 10
    for number in (1, 2):
        expect(told.panel(number).locator("img")).to_have_count(0)
        expect(told.panel(number)).to_contain_text("A dot")
    expect(told.panel(3)).to_contain_text("cannot be shown")


def test_plots(told: Told) -> None:
    """A plot is drawn when one is there, not before; it is told in words, and its numbers are a table."""
    scripts: list[str] = []
    told.page.on("request", lambda request: scripts.append(request.url))
    told.open(call("done", arguments={}, result=7), status="finished")
    expect(told.panel().locator(".tool-result")).to_have_text("7")
    assert not [url for url in scripts if "/plot-" in url]
    series = [{"name": "a.b", "points": WAVE}, {"name": "</script>", "points": WAVE[:20]}]
    kinds = ("line", "bar", "area", "scatter")
    plots = [call("done", kind, arguments={}, result=PLOT | {"series": series, "kind": kind}) for kind in kinds]
    told.open(*plots, status="finished")
    for number in range(len(kinds)):
        chart = told.panel(number).get_by_role("img", name="Waves")
        expect(chart).to_have_attribute("aria-label", re.compile("Waves.*a.b: 40 points, from 0 to 12"))
        shapes = chart.locator(".recharts-line path, .recharts-bar path, .recharts-area path, .recharts-scatter path")
        expect(shapes.first).to_be_visible()
        expect(told.panel(number).locator(".recharts-legend-item-text")).to_have_text(["a.b", "</script>"])
    told.panel().get_by_role("button", name="Show numbers").click()
    expect(told.panel().locator("th")).to_have_text(["t", "a.b", "</script>"])
    assert [url for url in scripts if "/plot-" in url]


def test_following_when_panels_open(told: Told) -> None:
    """While the page follows, panels that come, grow and open leave the end within 40 px of view."""
    told.open(*[call("receiving", f"c{i}") for i in range(6)])
    for number in range(6):
        told.change(number, state="ready", arguments={f"field_{i}": "words " * 20 for i in range(6)})
        told.change(number, state="done", result="\n".join(f"line {i}" for i in range(12)))
        expect(told.panel(number)).to_have_attribute("data-state", "done")
        told.tab.page.wait_for_function("() => new Promise(requestAnimationFrame).then(() => true)")
        assert told.tab.left() <= 40
    told.change(5, result=PLOT | {"series": [{"name": "a", "points": WAVE}]})
    expect(told.panel(5).get_by_role("img", name="Waves").locator("path").first).to_be_visible()
    assert told.tab.left() <= 40


def test_live_is_as_after_a_reload(told: Told) -> None:
    """A panel that went through every state is the same as one that is loaded."""
    table = {"$view": "table", "columns": ["a"], "rows": [[1], [2]]}
    plot = PLOT | {"series": [{"name": "a", "points": WAVE}]}
    results = ["text", {"a": [1, {"b": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}], "c": None}, table, plot, 7, [1, 2], ""]
    told.open(*[call("receiving", f"c{i}") for i in range(len(results))])
    for number, result in enumerate(results):
        told.change(number, fields={"city": "Li"})
        told.change(number, fields=None, state="ready", arguments={"city": "Lima", "n": [1, 2]})
        told.change(number, state="awaiting-approval", schema={"type": "object"}, status="waiting")
        told.change(number, schema=None, state="running", progress=["one"], status="streaming")
        told.change(number, state="done", result=result, duration_ms=7)
        expect(told.panel(number)).to_have_attribute("data-state", "done")
    expect(told.page.locator(".recharts-line path").first).to_be_visible()
    live = html(told.page)
    told.wire.mute = False
    told.tab.choose()
    ended = {"arguments": {"city": "Lima", "n": [1, 2]}, "progress": ["one"], "duration_ms": 7}
    told.open(*[call("done", f"c{i}", result=result, **ended) for i, result in enumerate(results)])
    expect(told.page.locator(".recharts-line path").first).to_be_visible()
    assert html(told.page) == live


def html(page: Page) -> list[str]:
    """All panels, without the numbers that the libraries give to elements."""
    page.wait_for_timeout(300)
    found = [panel.evaluate("e => e.outerHTML") for panel in page.get_by_test_id("tool-panel").all()]
    return [re.sub(r"_r_\w+_|«\w+»|recharts[\w«»-]*?-?\d+\b|recharts-[\w-]*:\w+:", "#", text) for text in found]


def test_hostile_calls(told: Told) -> None:
    """Names, arguments and results that are long, turn the direction, or look like HTML are data that fits."""
    tag = "<img src=//evil.example/x onerror=window.hit=1>"
    long = "x" * 50_000
    turned = "a\u202eb\u200bc"
    arguments = {tag: tag, long: long, turned: turned, "__proto__": "p", "constructor": {"toString": tag}}
    result = {"$view": tag, "a": [tag, long, {tag: long}], "href": "javascript:window.hit=1"}
    deep: Any = tag
    for _ in range(90):
        deep = [deep]
    requests: list[str] = []
    told.page.on("request", lambda request: requests.append(request.url))
    table = {"$view": "table", "columns": [tag, long], "rows": [[tag, long]]}
    plot = PLOT | {"title": tag, "x_label": long, "series": [{"name": tag, "points": [[tag, 1], [long, 2]]}]}
    more = {"arguments": json.loads(json.dumps(arguments)), "progress": [tag, long], "server": long, "error": long}
    results = [result, deep, table, plot, tag, long[:19_000]]
    told.open(*[call("done", f"c{i}", name=f"{turned}{long}", result=r, **more) for i, r in enumerate(results)])
    told.change(0, state="awaiting-approval", status="waiting", schema={"properties": {tag: {"title": long}}})
    told.page.locator(".recharts-line path").first.wait_for()
    told.page.evaluate("document.querySelectorAll('.tool:not([open]) > summary').forEach((one) => one.click())")
    expect(told.page.locator(".tool:not([open])")).to_have_count(0)
    for button in told.page.locator(".tool button.more").all():
        button.click()
    inside = told.page.locator(".thread")
    assert inside.locator("script, iframe, img, object, embed, form, a").count() == 0
    assert told.page.evaluate("window.hit") is None
    assert [url for url in requests if not url.startswith(told.tab.url)] == []
    assert told.page.locator(".scroller").evaluate("e => e.scrollWidth <= e.clientWidth")
    assert tag in told.panel().locator("label").first.inner_text() or told.panel().get_by_text(tag).count() > 0
