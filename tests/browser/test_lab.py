"""The page /lab: its numbers agree with each other, with the log, and with what other readers of the run get."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from devservers.app import Served
from devservers.ports import free_port
from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage
from tests.support.simulated import Simulated

STREAMED = ("sse-fetch", "sse-eventsource", "websocket", "page", "grpc")
PATIENCE = 90_000
# Times are shown to a tenth of a millisecond, and the clock of the browser's wall has whole ones.
SLACK_MS = 3


class LabPage:
    """A tab that shows /lab."""

    def __init__(self, tab: ChatPage, query: str = "") -> None:
        self.page: Page = tab.page
        self.page.goto(f"{tab.url}/lab{query}")
        expect(self.start_button).to_be_enabled(timeout=PATIENCE)

    @property
    def prompt(self) -> Locator:
        return self.page.get_by_test_id("lab-prompt")

    @property
    def start_button(self) -> Locator:
        return self.page.get_by_test_id("lab-start")

    @property
    def speedup(self) -> Locator:
        return self.page.get_by_test_id("speedup")

    def row(self, transport: str) -> Locator:
        return self.page.locator(f"[data-testid=lab-row][data-transport={transport}]")

    def race(self) -> dict[str, dict[str, Any]]:
        """Press Start, wait for the end, and return the data attributes of each row."""
        before = self.run_id
        self.start_button.click()
        return self.finished(before)

    def finished(self, before: str = "") -> dict[str, dict[str, Any]]:
        """Wait for the end of a race that follows the one of the run ``before``."""
        race = self.page.get_by_test_id("lab-race")
        expect(race).not_to_have_attribute("data-run-id", before, timeout=PATIENCE)
        expect(race).to_have_attribute("data-state", "done", timeout=PATIENCE)
        rows = self.page.get_by_test_id("lab-row").evaluate_all("rows => rows.map(row => ({...row.dataset}))")
        assert [row["transport"] for row in rows] == ["buffered", *STREAMED]
        return {row["transport"]: _numbers(row) for row in rows}

    def log_times(self) -> dict[str, float]:
        terms = self.page.get_by_test_id("lab-log").evaluate_all("all => all.map(one => ({...one.dataset}))")
        return {term["term"]: float(term["ms"]) for term in terms}

    @property
    def run_id(self) -> str:
        """The answer of the last race."""
        return self.page.get_by_test_id("lab-race").get_attribute("data-run-id") or ""

    def exported(self, name: str) -> Path:
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name=name, exact=True).click()
        return Path(download.value.path())


def _numbers(row: dict[str, str]) -> dict[str, Any]:
    return {name: float(value) if re.fullmatch(r"[\d.]+", value) else value for name, value in row.items()}


@pytest.fixture
def logged(serve: Callable[..., Served], tmp_path: Path) -> tuple[Served, Path]:
    """A server with gRPC, and the file in which it records every event with the time at which it came."""
    record = tmp_path / "events.jsonl"
    settings = {"STREAMCHAT_GRPC_PORT": str(free_port()), "STREAMCHAT_COMPLETION_LOG": str(record)}
    return serve(STREAMCHAT_MODELS="simulator:tour", **settings), record


def text_times(record: Path, run_id: str) -> list[float]:
    """When each piece of text came from the provider, in Unix milliseconds."""
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    events = [line for line in lines if line["run_id"] == run_id and line["type"] == "text-delta"]
    return [datetime.fromisoformat(event["at"]).timestamp() * 1000 for event in events]


def test_the_numbers_agree(open_page: OpenPage, logged: tuple[Served, Path]):
    """Of every transport the first text comes before the last, none before the log has it, buffered after everything;
    speed-ups are quotients; all have the same words; the bytes are those that another reader gets."""
    server, record = logged
    lab = LabPage(open_page(None, server=server), "?n=80&rate=40&ttft=300&jitter=20")
    rows, log = lab.race(), lab.log_times()
    assert {row["state"] for row in rows.values()} == {"done"}
    buffered = rows.pop("buffered")
    assert buffered["firstMs"] == buffered["lastMs"]
    assert buffered["speedup"] == 1
    assert buffered["wordsRead"] == 0
    # The simulator's first bytes come with its first token.
    assert log["TTFB"] - SLACK_MS <= log["TTFT"]
    assert 300 <= log["TTFT"] <= log["TTLT"] <= log["TTC"]
    # Token i is never sent before ttft + i / rate.
    assert log["TTLT"] >= 300 + 79 / 40 * 1000 - SLACK_MS
    for transport, row in rows.items():
        assert log["TTFT"] - SLACK_MS <= row["firstMs"] <= row["lastMs"], transport
        assert row["lastMs"] >= log["TTLT"] - SLACK_MS, transport
        assert buffered["firstMs"] >= log["TTLT"] - SLACK_MS
        assert buffered["firstMs"] > row["firstMs"], transport
        assert row["words"] == buffered["words"] > 0
        assert 0 <= row["wordsRead"] <= row["words"]
        assert row["speedup"] == pytest.approx(buffered["firstMs"] / row["firstMs"], abs=0.001)
        assert row["bytes"] > 0
    assert float(lab.speedup.get_attribute("data-value") or 0) == rows["page"]["speedup"]
    run_id = lab.run_id
    came = text_times(record, run_id)
    assert log["TTLT"] - log["TTFT"] == pytest.approx(came[-1] - came[0], abs=SLACK_MS)
    events = server.get(f"/api/runs/{run_id}/events")[2]
    assert rows["sse-fetch"]["bytes"] == len(events)
    assert rows["sse-eventsource"]["bytes"] == len(events) - len("retry: 1000\n")
    assert buffered["bytes"] == len(server.get(f"/api/runs/{run_id}/events?buffer=1")[2])


def test_one_request_to_the_provider(tab: ChatPage, simulated: Simulated, mark: str):
    """However many transports read the answer, the provider is asked once. Without gRPC its row says how to have it."""
    lab = LabPage(tab, "?model=openai:tour")
    text = f"{mark} n=40 rate=100 ttft=50 kind=numbered"
    lab.prompt.fill(text)
    lab.prompt.press("Enter")
    rows = lab.finished()
    assert len(simulated.requests(text)) == 1
    assert {row["words"] for name, row in rows.items() if name != "grpc"} == {40}
    assert rows["grpc"]["state"] == "off"
    assert "firstMs" not in rows["grpc"]
    expect(lab.row("grpc")).to_contain_text("STREAMCHAT_GRPC_PORT")
    assert tab.page.get_by_test_id("lab-log").first.get_attribute("data-ms")


def test_a_link_repeats_the_race(tab: ChatPage, mark: str):
    """The address fills in the form and starts nothing; after a race it is the link that does the same again."""
    before = tab.served.get("/api/conversations")[2]
    lab = LabPage(tab, f"?prompt={mark}&model=simulator:tour&ttft=20&rate=200&n=30&jitter=5")
    assert lab.prompt.input_value() == mark
    values = [lab.page.get_by_label(name).input_value() for name in ("First token after", "Rate", "Length", "Jitter")]
    assert values == ["20", "200", "30", "5"]
    assert tab.served.get("/api/conversations")[2] == before
    lab.race()
    link = lab.page.get_by_test_id("lab-link").get_attribute("href") or ""
    assert lab.page.url.endswith(link)
    again = LabPage(tab, link.removeprefix("/lab"))
    assert again.prompt.input_value() == mark
    again.race()


def test_the_table_can_be_exported(tab: ChatPage, mark: str):
    """CSV and JSON have the numbers of the rows, and JSON the question and the run as well."""
    lab = LabPage(tab, f"?prompt={mark}&n=30&rate=100&ttft=20")
    rows = lab.race()
    with lab.exported("CSV").open(newline="") as file:
        table = {line["transport"]: line for line in csv.DictReader(file)}
    report = json.loads(lab.exported("JSON").read_text())
    assert report["question"]["prompt"] == mark
    assert report["run_id"] == lab.run_id
    assert list(table) == list(rows) == [result["transport"] for result in report["results"]]
    for result in report["results"]:
        row, line = rows[result["transport"]], table[result["transport"]]
        assert line["state"] == result["state"] == row["state"]
        for name, attribute in (("first_ms", "firstMs"), ("last_ms", "lastMs"), ("speedup", "speedup")):
            assert (result[name] or "") == row.get(attribute, "")
            assert (float(line[name]) if line[name] else None) == result[name]
        assert float(line["bytes"]) == result["bytes"] == row.get("bytes", 0)


def test_a_recording_is_played_again(tab: ChatPage, tmp_path: Path, mark: str):
    """The file that a race saves is played with its times: the same words, none sooner than they came."""
    lab = LabPage(tab, f"?prompt={mark}&n=40&rate=50&ttft=100&jitter=40")
    rows = lab.race()
    with lab.page.expect_download() as download:
        lab.page.get_by_test_id("lab-recording").click()
    file = tmp_path / "recording.json"
    download.value.save_as(file)
    recording = json.loads(file.read_text())
    times = [event["at_ms"] for event in recording["events"] if event["type"] == "text-delta"]
    before = lab.run_id
    lab.page.get_by_test_id("lab-replay").set_input_files(file)
    again, log = lab.finished(before), lab.log_times()
    before = lab.run_id
    assert {row["words"] for name, row in again.items() if name != "grpc"} == {rows["buffered"]["words"]}
    assert log["TTFT"] >= times[0] - SLACK_MS
    assert log["TTLT"] >= times[-1] - SLACK_MS
    lab.page.get_by_test_id("lab-replay").set_input_files({"name": "a.json", "mimeType": "", "buffer": b"{}"})
    lab.finished(before)
    expect(lab.row("page")).to_contain_text("There is no recording")


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("simulator:tour", "fault=reset at=10 n=60 kind=numbered"),
        ("simulator:tour", "fault=bad-key"),
        ("simulator:reasoning", ""),
        ("simulator:tour", "calls=1 tools=calculate"),
    ],
)
def test_a_race_ends_whatever_the_provider_does(tab: ChatPage, model: str, options: str):
    """An answer that breaks, never begins, thinks first or calls a tool ends every row with the same text, and nothing
    is said that was not measured."""
    lab = LabPage(tab, f"?model={model}&n=")
    lab.prompt.fill(f"rate=100 ttft=10 {options}")
    lab.page.get_by_label("Length").fill("")
    rows = lab.race()
    assert {row["state"] for name, row in rows.items() if name != "grpc"} == {"done"}
    words = {row["words"] for name, row in rows.items() if name != "grpc"}
    assert len(words) == 1
    expect(lab.speedup).to_have_count(1 if words.pop() else 0)


def test_stop_and_a_second_race(tab: ChatPage):
    """Stop ends the answer for all rows, and the next race begins with empty ones."""
    lab = LabPage(tab, "?n=5000&rate=50&ttft=10")
    lab.start_button.click()
    expect(lab.row("page")).to_contain_text(re.compile(r"First text\s*\d"), timeout=PATIENCE)
    lab.page.get_by_test_id("lab-stop").click()
    rows = lab.finished()
    assert {row["words"] for name, row in rows.items() if name != "grpc"} == {rows["buffered"]["words"]}
    lab.prompt.fill("n=20 rate=100 kind=numbered")
    assert {row["words"] for name, row in lab.race().items() if name != "grpc"} == {20}


def test_when_not_to_stream(tab: ChatPage):
    """Each case asks real runs. Half of a label or of an object is of no use, so neither way has it before the end."""
    lab = LabPage(tab)
    for case, answer in (("classification", "positive"), ("json", '"city": "Paris"'), ("batch", None)):
        card = lab.page.locator(f"[data-testid=lab-case][data-case={case}]")
        card.get_by_role("button").click()
        expect(card).to_have_attribute("data-state", "done", timeout=PATIENCE)
        measured = card.get_by_test_id("lab-comparison").evaluate("table => ({...table.dataset})")
        assert min(float(measured["streamedMs"]), float(measured["bufferedMs"])) >= 400, "the first token's time"
        if answer:
            expect(card).to_contain_text(answer)
        if case == "json":
            assert int(measured["streamedVain"]) > 0 == int(measured["bufferedVain"])
            assert float(measured["streamedMs"]) > 400
        if case != "classification":
            assert int(measured["bufferedBytes"]) < int(measured["streamedBytes"])


def test_on_a_phone_and_from_the_chat(phone: ChatPage, open_page: OpenPage):
    """Nothing is wider than a phone's screen, and the chat page leads there and back."""
    lab = LabPage(phone, "?n=20&rate=100&ttft=10")
    lab.race()
    wider = "(page => page.scrollWidth - page.clientWidth)(document.querySelector('.lab'))"
    assert lab.page.evaluate(wider) == 0
    chat = open_page("/")
    chat.page.get_by_role("link", name="What streaming changes").click()
    expect(chat.page.get_by_test_id("lab-start")).to_be_enabled(timeout=PATIENCE)
    chat.page.get_by_role("link", name="Chat").click()
    chat.ready()
