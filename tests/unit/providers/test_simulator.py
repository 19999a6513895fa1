"""What the simulator says: words, texts, scripts and tool arguments, all pure."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamchat.simulator import sse_writer, texts, words
from streamchat.simulator.calls import choose, example
from streamchat.simulator.request import Ask, Tool, Turn
from streamchat.simulator.scenes import SCENES
from streamchat.simulator.script import plan
from streamchat.simulator.steps import TOKENS, Arguments, CallStart, End, Fault, Reasoning, Text, whole
from streamchat.simulator.tour import TOUR

CONTRACT = (
    "tour reasoning tools parallel-tools rate-limited overloaded overloaded-after bad-key stall reset cut refusal "
    "content-filter max-tokens context-too-long bad-json split-emoji slow firehose replay"
).split()


def ask(message: str = "", scene: str = "tour", *more: Turn, **fields) -> Ask:
    return Ask(scene, (Turn("user", message), *more), **fields)


def steps(asked: Ask, attempt: int = 0):
    return list(plan(asked, attempt).steps)


def text(asked: Ask) -> str:
    return whole(steps(asked)).text


def test_every_scene_of_the_contract_exists():
    """The names that others script against are the names in the table; the empty page has a prompt for one more."""
    assert sorted(SCENES) == sorted([*CONTRACT, "diagram"])


def test_words_are_read_from_prose():
    """Words count anywhere in a message, the last of two holds, and numbers that are none are prose."""
    said = words.parse("Please: n=500 rate=2.5, then n=7. Solve x=3 and n=x+1; kind=markdown fault=reset at=100")
    assert (said.n, said.rate, said.kind, said.fault, said.at) == (7, 2.5, "markdown", "reset", 100)
    assert words.parse("in=5 n=-3 rate=fast") == words.Words()


@pytest.mark.parametrize("word", ["fault=resett", "kind=poem", "chunk=bits", "wire=morse", "args=wrong"])
def test_a_misspelt_choice_is_an_error(word: str):
    """A test that misspells its fault must not pass by accident."""
    with pytest.raises(words.UnknownWord, match=word.partition("=")[0]):
        words.parse(word)


@given(st.text())
def test_any_text_can_be_a_message(message: str):
    """No message breaks the script, whatever is in it."""
    try:
        assert isinstance(steps(ask(message + " rate=0"))[-1], (End, Fault))
    except words.UnknownWord:
        assert "=" in message


@given(st.text())
def test_tokens_are_the_text(message: str):
    """Cutting a text into tokens loses nothing."""
    pieces = list(texts.tokens(message))
    assert "".join(pieces) == message
    assert all(pieces)


@given(st.lists(st.text(min_size=1, max_size=4)), st.integers(0, 50))
def test_skip_is_a_slice(pieces: list[str], length: int):
    """Skipping characters of tokens equals skipping them in the text."""
    assert "".join(texts.skip(pieces, length)) == "".join(pieces)[length:]


def test_numbered_words_are_n_tokens():
    """n=3 is three tokens that read w000001 w000002 w000003."""
    made = steps(ask("n=3"))
    assert [step.text for step in made if isinstance(step, Text)] == ["w000001", " w000002", " w000003"]
    assert made[-1] == End("stop")


def test_markdown_is_seeded_and_exactly_n_tokens():
    """The same seed gives the same text, another one another; there is something of everything in it."""
    made = [step for step in steps(ask("n=3000 kind=markdown seed=7")) if isinstance(step, Text)]
    told = "".join(step.text for step in made)
    assert len(made) == 3000
    assert text(ask("n=3000 kind=markdown seed=7")) == told
    assert text(ask("n=3000 kind=markdown seed=8")) != told
    for pattern in (
        r"^## ",
        r"^- ",
        r"^1\. ",
        r"^\| --- ",
        r"^```python$",
        r"^> ",
        r"\*\*\w",
        r"\]\(https://",
        r" `\w",
    ):
        assert re.search(pattern, told, re.MULTILINE), pattern
    assert sum(map(len, texts.markdown(3000, 7))) / 3000 > 3


def test_echo_repeats_what_follows_the_first_line():
    """kind=echo lets a test say any text word for word."""
    wanted = '<script>alert("x")</script>\n\n| a | b |\n| --- | --- |\n'
    assert text(ask(f"kind=echo rate=0\n{wanted}")) == wanted


def test_the_tour_is_the_default_and_whole():
    """Without words the tour says its text, to its end."""
    assert text(ask("Hello!")) == TOUR
    assert text(ask("n=4000", "firehose")).count("w") == 4000


def test_the_schedule_does_not_drift():
    """Token i is due at ttft + i / rate, however many came before."""
    script = plan(ask("n=10000 rate=50 ttft=200"), 0)
    assert script.due(0) == 0.2
    assert script.due(9999) == pytest.approx(0.2 + 9999 / 50)
    assert plan(ask("rate=0 ttft=0"), 0).due(10**6) == 0


def test_jitter_only_delays():
    """With jitter a token comes later by chance, within the bound and the same each time; the first one does not."""
    even, uneven = plan(ask("rate=50 ttft=200"), 0), plan(ask("rate=50 ttft=200 jitter=80"), 0)
    late = [uneven.due(token) - even.due(token) for token in range(1000)]
    assert late == [plan(ask("rate=50 ttft=200 jitter=80"), 0).due(token) - even.due(token) for token in range(1000)]
    assert late[0] == 0
    assert min(late) >= 0
    assert 0.07 < max(late) < 0.0801


@pytest.mark.parametrize("fault", sorted(words.DURING))
def test_a_fault_comes_after_exactly_at_tokens(fault: str):
    """at=7 lets seven tokens through."""
    made = steps(ask(f"n=30 fault={fault} at=7"))
    assert sum(isinstance(step, Text) for step in made) == 7
    assert made[-1] != End("stop")


def test_a_fault_beyond_the_text_still_happens():
    """An answer shorter than at= does not come through."""
    assert steps(ask("n=3 fault=reset at=100"))[-1] == Fault("reset")


def test_ok_after_lets_a_later_attempt_through():
    """ok_after=2: two requests meet the fault, the third does not."""
    asked = ask("n=3 fault=reset ok_after=2 at=1")
    assert [steps(asked, attempt)[-1] for attempt in range(3)] == [Fault("reset"), Fault("reset"), End("stop")]
    assert [plan(ask("ok_after=1", "rate-limited"), attempt).before for attempt in (0, 1)] == ["rate-limited", None]


@pytest.mark.parametrize("kept", [1, 40, 79, 80, 81, 160, 200])
@pytest.mark.parametrize("how", ["prefill", "ask"])
def test_an_unfinished_answer_is_continued_where_it_ends(kept: int, how: str):
    """Kept text and continuation are the whole answer, at any cut, and the fault is behind it at its place."""
    message = "n=40 fault=cut at=10"
    everything = text(ask("n=40"))
    more = [Turn("assistant", everything[:kept])]
    if how == "ask":
        more.append(Turn("user", "Go on from exactly where it stops."))
    made = steps(ask(message, "tour", *more))
    if kept >= 79:  # the first ten words
        assert everything[:kept] + whole(made).text == everything
        assert made[-1] == End("stop")
    else:
        assert everything[:kept] + whole(made).text == everything[:79]
        assert made[-1] == Fault("cut")


def test_a_new_question_is_no_continuation():
    """After a complete answer, or an answer to something else, a message without words gets the scene's own text."""
    complete = ask("n=3", "tour", Turn("assistant", "w000001 w000002 w000003"), Turn("user", "thanks"))
    other = ask("n=3", "tour", Turn("assistant", "Something else"), Turn("user", "thanks"))
    assert text(complete) == text(other) == TOUR


def test_max_tokens_cuts_the_answer():
    """A limit in the request ends the answer as *length*."""
    made = steps(ask("n=30", max_tokens=5))
    assert len(made) == 6
    assert made[-1] == End("length")
    assert steps(ask("n=5", max_tokens=5))[-1] == End("stop")


def test_thinking_comes_first():
    """The reasoning scene thinks, seals its thoughts, then speaks."""
    made = steps(ask("Hi", "reasoning"))
    kinds: list[type] = [type(step) for step in made if isinstance(step, TOKENS)]
    assert kinds == sorted(kinds, key=[Reasoning, Text].index)
    assert whole(made).seal is not None


def test_parallel_calls_interleave():
    """Three calls, whose fragments come in turn and whose arguments are JSON objects at the end."""
    made = steps(ask("Go", "parallel-tools"))
    order = [step.index for step in made if isinstance(step, Arguments)]
    assert order[:6] == [0, 1, 2, 0, 1, 2]
    calls = whole(made).calls
    assert [call.name for call in calls] == ["calculate", "current_time", "calculate"]
    assert len({call.call_id for call in calls}) == 3
    assert all(isinstance(json.loads(call.arguments), dict) for call in calls)
    assert made[-1] == End("tool-calls")


def test_results_are_quoted_in_the_second_round():
    """With results present the tools scene answers, and what the tools said is in the answer."""
    told = text(ask("Go", "parallel-tools", results=("42", "noon in Paris")))
    assert "42" in told
    assert "noon in Paris" in told


def test_ids_of_calls_differ_between_requests():
    """Two requests never use the same call id."""
    starts = [list(plan(ask("Go", "tools"), 0, salt).steps) for salt in ("a", "b")]
    ids = [step.call_id for made in starts for step in made if isinstance(step, CallStart)]
    assert len(set(ids)) == 2


def test_only_declared_tools_are_called():
    """Where the client declared tools, no other is called."""
    tools = (Tool("roll_dice", {"type": "object", "properties": {"sides": {"type": "integer", "minimum": 2}}}),)
    calls = choose(tools, 3, "valid", "")
    assert {call.name for call in calls} == {"roll_dice"}
    assert all(json.loads(call.arguments)["sides"] >= 2 for call in calls)


def test_the_message_can_name_the_tools():
    """Those are called in this order, declared or not, with arguments that fit where there is a schema."""
    declared = (Tool("calculate", {}), Tool("look_up", {"type": "object", "properties": {"city": {"type": "string"}}}))
    calls = whole(steps(ask("Go tools=look_up+nowhere", "tools", tools=declared))).calls
    assert [(call.name, call.arguments) for call in calls] == [("look_up", '{"city": "Paris"}'), ("nowhere", "{}")]


@pytest.mark.parametrize(
    ("schema", "check"),
    [
        ({"type": "string", "enum": ["a", "b"]}, lambda value: value in ("a", "b")),
        ({"type": "string", "minLength": 20}, lambda value: len(value) >= 20),
        ({"type": "integer", "minimum": 5, "maximum": 5}, lambda value: value == 5),
        ({"type": "array", "items": {"type": "number"}, "minItems": 2}, lambda value: len(value) >= 2),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, lambda value: isinstance(value, bool)),
        ({"const": 7}, lambda value: value == 7),
        ({"$ref": "#/$defs/p", "$defs": {"p": {"type": "object"}}}, lambda value: value == {}),
        (
            {
                "type": "object",
                "properties": {"child": {"$ref": "#"}, "name": {"type": "string"}},
                "required": ["name"],
            },
            lambda value: list(value) == ["name"],
        ),
    ],
)
def test_examples_fit_their_schema(schema, check):
    """Arguments are made from the schema; a schema that contains itself ends."""
    assert check(example(schema))


def test_arguments_can_be_wrong_on_purpose():
    """args= makes arguments that do not parse, are no object, do not fit, or are large."""
    made = {kind: choose((), 1, kind, "")[0].arguments for kind in words.ARGS}
    for kind in ("invalid", "truncated"):
        with pytest.raises(ValueError, match="."):
            json.loads(made[kind])
    assert isinstance(json.loads(made["list"]), list)
    assert "expression" not in json.loads(made["mismatch"])
    assert len(made["big"]) > 1_000_000


def test_a_schema_gets_an_answer_that_fits():
    """Structured output is JSON of the schema's shape."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "n": {"type": "integer"}}}
    value = json.loads(text(ask("Hi", schema=schema)))
    assert isinstance(value["city"], str)
    assert isinstance(value["n"], int)


@given(st.text(min_size=1), st.sampled_from(words.CHUNKS))
def test_cutting_bytes_loses_none(message: str, chunk: str):
    """Whatever the chunking, the bytes are the bytes; split puts a border into every multi-byte character."""
    payload = message.encode(errors="replace")
    pieces = sse_writer.cut(payload, chunk)
    assert b"".join(pieces) == payload
    if chunk == "byte":
        assert all(len(piece) == 1 for piece in pieces)
    if chunk == "split":
        assert len(pieces) == 1 + sum(byte >= 0xC0 for byte in payload)


def recorded(*events: dict[str, object]) -> str:
    return json.dumps({"format": "streamchat-recording", "version": 1, "events": list(events)})


def test_a_recording_is_played_with_its_times():
    """Each token is due when it came, divided by the speed; options in the recorded text are text."""
    recording = recorded(
        {"at_ms": 300, "type": "reasoning-delta", "text": "Hm."},
        {"at_ms": 900, "type": "text-delta", "text": "n=9 fault=nonsense"},
        {"at_ms": 1500, "type": "text-delta", "text": " b"},
        {"at_ms": 1500, "type": "finished", "reason": "length"},
    )
    for words_before, factor in (("", 1.0), ("speed=2 ", 0.5), ("speed=0 ", 0.0)):
        script = plan(ask(words_before + recording, "replay"), 0)
        assert [script.due(token) for token in range(3)] == [at * factor for at in (0.3, 0.9, 1.5)]
        answer = whole(list(script.steps))
        assert (answer.text, answer.reasoning, answer.reason) == ("n=9 fault=nonsense b", "Hm.", "length")
    assert "GET /api/runs" in text(ask("no recording here", "replay"))


@pytest.mark.parametrize(
    "events",
    [
        '{"x": 1}',
        '[{"type": "text-delta", "text": 5, "at_ms": 1}]',
        '[{"type": "text-delta", "text": "a"}]',
        "[5]",
        "[{}",
    ],
)
def test_a_recording_that_cannot_be_read_is_an_error(events: str):
    """What is no recording inside is refused with a sentence, never played in part."""
    with pytest.raises(words.UnknownWord, match="recording"):
        plan(ask('{"format": "streamchat-recording", "events": ' + events + "}", "replay"), 0)


@given(st.lists(st.tuples(st.text(min_size=1), st.floats(0, 1e9))))
def test_any_text_comes_back_from_a_recording(pieces: list[tuple[str, float]]):
    """Whatever was said is said again, and time never goes back."""
    events: list[dict[str, object]] = [{"at_ms": at, "type": "text-delta", "text": piece} for piece, at in pieces]
    script = plan(ask(recorded(*events, {"at_ms": 0, "type": "finished"}), "replay"), 0)
    assert list(script.times) == sorted(script.times)
    assert whole(list(script.steps)).text == "".join(piece for piece, _ in pieces)
