"""What the page is told of tool calls: what parsed, what changed, and the same as after a reload."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamchat.chat import events as e
from streamchat.chat.fold import Folding, fold
from streamchat.chat.messages import Message, ToolCallPart
from streamchat.protocols.page.stream import Frame, PageEncoder, view
from streamchat.protocols.page.tool_views import LINES, SHOWN, About, exact
from streamchat.runs.log import Entry, Snapshot
from tests.unit.chat.speaking import RUNS, SAID

EMPTY = Message("a", "assistant", status="streaming", model="m")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def describe(name: str) -> About:
    return About(SCHEMA, "weather" if name == "tool2" else "")


class Page:
    """What a browser makes of the frames of one answer: the rules of ``assets/store.js``, for tools only."""

    def __init__(self, message: Message = EMPTY, seq: int = 0) -> None:
        self.answer = PageEncoder(describe)
        self.message = json.loads(json.dumps(self.answer.view(Snapshot(seq, message))))
        self.folding, self.seq = Folding(message), seq
        self.frames: list[Frame] = []

    def hear(self, events: Sequence[e.Event], looks: int = 1) -> None:
        """What the log has next, all of it before the page looks; ``looks``: in how many pieces it takes that."""
        entries = [self.log(event) for event in events]
        step = max(1, -(-len(entries) // looks))
        for at in range(0, len(entries), step):
            for frame in self.answer.entries(entries[at : at + step], self.folding):
                self.take(json.loads(json.dumps(frame)))

    def log(self, event: e.Event) -> Entry:
        self.seq += 1
        return Entry(self.seq, 0.0, *self.folding.add(event), event)

    at = -1  # the part that the last piece was of

    def take(self, frame: Frame) -> None:
        self.frames.append(frame)
        parts = self.message["parts"]
        if "s" in frame:
            assert frame["s"] > self.message["seq"], "a page takes a frame that is not newer for a replay"
            self.message["seq"] = frame["s"]
        if "k" not in frame:
            self.at = frame.get("p", self.at)
            if self.at == len(parts):
                parts.append({"type": frame.get("y", "text"), "text": ""})
            parts[self.at]["text"] += frame["t"]
        if frame.get("k") == "part":
            parts[frame["p"] : frame["p"] + 1] = [frame["part"]]
        for index, change in frame.get("set", {}).items():
            changed = parts[int(index)] | change
            parts[int(index)] = {name: value for name, value in changed.items() if value is not None}
        if "status" in frame:
            self.message["status"] = frame["status"]

    def calls(self) -> list[Frame]:
        return [part for part in self.message["parts"] if part["type"] == "tool_call"]


def shown(parts: list[Frame]) -> list[Frame]:
    """Without what a browser takes for the same, and what a reader who came later may already see more of."""
    return [{k: v for k, v in part.items() if v is not None and k != "fields"} for part in parts]


@settings(deadline=None)
@given(SAID | RUNS, st.data())
def test_live_as_after_a_reload(run: list[e.Event], data: st.DataObject) -> None:
    """However often the page looks, and from wherever it came in, it has what a reload shows."""
    start = data.draw(st.integers(0, len(run) - 1))
    page = Page(fold(EMPTY, run[:start]), start)
    rest = run[start:]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rest)), max_size=6)))
    for a, b in zip([0, *cuts], [*cuts, len(rest)], strict=True):
        page.hear(rest[a:b])
    now = json.loads(json.dumps(view(fold(EMPTY, run), len(run), describe)))
    calls = [part for part in now["parts"] if part["type"] == "tool_call"]
    assert shown(page.calls()) == shown(calls)
    assert page.message["status"] == now["status"]


@settings(deadline=None)
@given(SAID | RUNS, st.integers(1, 8))
def test_a_page_that_is_behind_the_log(run: list[e.Event], looks: int) -> None:
    """The log may have more of a call than the entries that are shown: nothing is shown twice, nothing is left out."""
    page = Page()
    page.hear(run, looks)
    parts = json.loads(json.dumps(view(fold(EMPTY, run), len(run), describe)))["parts"]
    assert shown(page.calls()) == shown([part for part in parts if part["type"] == "tool_call"])


def pieces(call_id: str, arguments: object, size: int = 7) -> list[e.Event]:
    text = json.dumps(arguments)
    return [e.ToolCallArguments(call_id, text[at : at + size]) for at in range(0, len(text), size)]


def test_fields_while_they_arrive() -> None:
    """Fields show while arguments arrive and only grow; no frame has a piece of JSON text."""
    arguments = {"city": "Reykjavík", "days": 12, "note": "windy, " * 20, "tags": ["a", "b"]}
    page = Page()
    page.hear([e.ToolCallStarted("c", "f")])
    told = []
    for event in pieces("c", arguments):
        page.hear([event])
        told.append(page.calls()[0].get("fields") or {})
    assert any(0 < len(fields.get("note", "")) < len(arguments["note"]) for fields in told)
    for before, after in zip(told, told[1:], strict=False):
        assert before.keys() <= after.keys()
        assert all(str(after[name]).startswith(str(before[name])[:-1]) for name in before)
    assert "{" not in json.dumps(told[-1], ensure_ascii=False)[1:-1]
    assert "raw" not in json.dumps(page.frames)


def test_parallel_calls_in_one_look() -> None:
    """Interleaved fragments that a slow page gets at once end in each call's own fields, in one frame."""
    started = [e.ToolCallStarted(name, "f") for name in "abc"]
    streams = [pieces(name, {"city": name * 30, "n": 1}) for name in "abc"]
    fragments = [event for turn in zip(*streams, strict=True) for event in turn]
    page = Page()
    page.hear(started)
    page.hear(fragments)
    assert [call["fields"]["city"][:3] for call in page.calls()] == ["aaa", "bbb", "ccc"]
    assert len(page.frames) == 4
    page = Page()
    page.hear([*started, *fragments])
    assert [call["fields"]["city"][:3] for call in page.calls()] == ["aaa", "bbb", "ccc"]
    assert len(page.frames) == 3


def test_long_arguments_cost_little() -> None:
    """However long the arguments, what is sent while they arrive is bounded, and stays bounded after a reload."""
    page = Page()
    events = [e.ToolCallStarted("c", "f"), *pieces("c", {"body": "x" * 1_000_000}, 20)]
    for event in events:
        page.hear([event])
    assert sum(len(json.dumps(frame)) for frame in page.frames) < 8 * SHOWN
    assert SHOWN / 2 < len(page.calls()[0]["fields"]["body"]) <= SHOWN
    (call,) = view(fold(EMPTY, events), 1)["parts"]
    assert SHOWN / 2 < len(call["fields"]["body"]) <= SHOWN
    page = Page()
    page.hear([events[0], e.ToolCallArguments("c", '{"body": "' + "x" * 1_000_000)])
    assert SHOWN / 2 < len(page.calls()[0]["fields"]["body"]) <= SHOWN


def test_progress_costs_a_line() -> None:
    """A progress line does not send the arguments again; the last lines are kept, in order, also after a reload."""
    page = Page()
    ready = [e.ToolCallStarted("c", "f"), e.ToolCallReady("c", {"body": "x" * 100_000})]
    lines = [e.ToolProgress("c"), *[e.ToolProgress("c", f"step {i}") for i in range(20)]]
    for event in [*ready, *lines]:
        page.hear([event])
    assert max(len(json.dumps(frame)) for frame in page.frames[2:]) < 400
    assert page.calls()[0]["progress"] == [f"step {i}" for i in range(20 - LINES, 20)]
    assert view(fold(EMPTY, [*ready, *lines]), 1)["parts"][0]["progress"] == page.calls()[0]["progress"]


def test_asking() -> None:
    """A call that waits comes with the schema of its form; the message waits, and streams again when it goes on."""
    page = Page()
    asked = [e.ToolCallStarted("c", "tool2"), e.ToolCallReady("c", {"city": "Lima"}), e.Waiting(("c",))]
    page.hear(asked)
    (call,) = page.calls()
    assert (call["state"], call["schema"], call["server"]) == ("awaiting-approval", SCHEMA, "weather")
    assert page.message["status"] == "waiting"
    page.hear([e.ToolCallReady("c", {"city": "Quito"}), e.ToolProgress("c")])
    (call,) = page.calls()
    assert (call["state"], call["arguments"], call.get("schema")) == ("running", {"city": "Quito"}, None)
    assert page.message["status"] == "streaming"


@pytest.mark.parametrize(
    "event", [e.ToolCallStarted("d", "f"), e.ToolCallArguments("c", ""), e.ToolResult("c", "done")]
)
def test_whatever_goes_on_says_so(event: e.Event) -> None:
    """Nobody is asked to decide any more: whichever event says it first, the page hears that the message streams."""
    page = Page()
    page.hear([e.ToolCallStarted("c", "f"), e.Waiting(())])
    assert page.message["status"] == "waiting"
    page.hear([event])
    assert page.message["status"] == "streaming"


def test_the_end_tells_of_calls_that_had_none() -> None:
    """A call that was running when the answer ended is told with the end."""
    page = Page()
    page.hear([e.ToolCallStarted("c", "f"), e.ToolProgress("c"), e.Interrupted()])
    assert [call["state"] for call in page.calls()] == ["unknown"]


def test_numbers_stay_exact() -> None:
    """Integers that a browser would round are text, wherever they stand; the rest is not copied."""
    big = 2**53
    assert exact({"a": [big, -big, 1], "b": {"c": big - 1}}) == {"a": [str(big), str(-big), 1], "b": {"c": big - 1}}
    value = {"a": [1, {"b": True}], "c": None}
    assert exact(value) is value
    part = ToolCallPart("c", "f", arguments={"id": big}, state="done", result=[big])
    (call,) = view(Message("a", "assistant", (part,)), 1)["parts"]
    assert (call["arguments"], call["result"]) == ({"id": str(big)}, [str(big)])
