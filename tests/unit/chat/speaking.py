"""Runs as events, in any lawful order, for property tests of what is made of them."""

from __future__ import annotations

from hypothesis import strategies as st

from streamchat.chat import events as e
from streamchat.chat.messages import Message

EMPTY = Message("a", "assistant", status="streaming", model="m")
TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OPAQUE = st.none() | st.dictionaries(st.sampled_from(["anthropic", "responses"]), JSON, min_size=1, max_size=2)
COUNTS = st.none() | st.integers(0, 10**9)
IDS = st.sampled_from(["c1", "c2", "c3"])

DELTAS = st.one_of(
    st.builds(e.TextDelta, TEXTS),
    st.builds(e.ReasoningDelta, TEXTS, OPAQUE),
    st.builds(e.ToolCallArguments, IDS, TEXTS),
)
OTHERS = st.one_of(
    st.builds(e.ToolCallReady, IDS, st.dictionaries(TEXTS, JSON, max_size=3), OPAQUE),
    st.builds(e.ToolProgress, IDS, TEXTS),
    st.builds(
        e.ToolResult,
        IDS,
        st.sampled_from(["done", "error", "timeout", "invalid"]),
        JSON,
        st.none() | TEXTS,
        OPAQUE,
        COUNTS,
    ),
    st.builds(e.SourceAdded, TEXTS, TEXTS, OPAQUE),
    st.builds(e.UsageReported, COUNTS, COUNTS, COUNTS, COUNTS),
    st.builds(e.Notice, TEXTS, TEXTS, st.none() | st.dictionaries(TEXTS, JSON, max_size=2), OPAQUE),
    st.builds(e.Waiting, st.lists(IDS, max_size=2, unique=True).map(tuple)),
)
ENDINGS = st.one_of(
    st.builds(e.Finished, st.sampled_from(["stop", "length", "tool-calls"]), OPAQUE),
    st.builds(e.Stopped, COUNTS, COUNTS),
    st.builds(e.Failed, TEXTS, TEXTS, st.booleans(), st.none() | st.integers(0, 9)),
    st.builds(e.Interrupted, TEXTS, TEXTS),
)
STARTED = [e.ToolCallStarted(f"c{i}", f"tool{i}", by_provider=i == 3) for i in (1, 2, 3)]
SAID = st.lists(DELTAS | DELTAS | OTHERS, max_size=20).map(lambda said: [*STARTED, *said])
RUNS = st.tuples(SAID, ENDINGS).map(lambda run: [*run[0], run[1]])
