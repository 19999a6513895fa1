"""Fields of arguments that are still arriving: they come early, and never go back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamchat.chat.partial_json import GROWTH, PartialFields
from tests.support.long import examples


def grows(old: Any, new: Any) -> bool:
    """Whether everything that was shown is still there, and only more has come."""
    if isinstance(old, dict) and isinstance(new, dict):
        return list(new)[: len(old)] == list(old) and all(grows(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(new) >= len(old) and all(grows(one, other) for one, other in zip(old, new, strict=False))
    if isinstance(old, str) and isinstance(new, str):
        return new.startswith(old)
    return type(old) is type(new) and old == new


def every_answer(text: str, size: int = 1, growth: float = 0.0) -> list[Any]:
    """What is shown after each fragment of this size; each answer has the one before in it."""
    partial = PartialFields(growth)
    answers = []
    for start in range(0, len(text), size):
        before = partial.fields
        told = partial.add(text[start : start + size])
        assert grows(before, partial.fields)
        assert told is None or told == partial.fields != before
        answers.append(partial.fields)
    return answers


def last(text: str) -> Any:
    """What is shown of this text when all of it has come."""
    return every_answer(text)[-1] if text else PartialFields().fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ("  \n", {}),
        ("{", {}),
        ('{"city', {}),
        ('{"city":', {}),
        ('{"city":"', {"city": ""}),
        ('{"city":"Be', {"city": "Be"}),
        ('{"n":12', {}),
        ('{"n":12,', {"n": 12}),
        ('{"n":12 ', {"n": 12}),
        ('{"n":-', {}),
        ('{"n":-1.5e3', {}),
        ('{"n":-1.5e3}', {"n": -1500.0}),
        ('{"n":[1,2', {"n": [1]}),
        ('{"a":tru', {}),
        ('{"a":true,', {"a": True}),
        ('{"a":null}', {"a": None}),
        ('{"a":"12', {"a": "12"}),
        ('{"a":"x\\', {"a": "x"}),
        ('{"a":"x\\u26', {"a": "x"}),
        ('{"a":"x\\ud83d', {"a": "x"}),
        ('{"a":"x\\ud83d\\ude', {"a": "x"}),
        ('{"a":"x\\ud83d\\ude00', {"a": "x😀"}),
        ('{"a":"\\\\12', {"a": "\\12"}),
        ('{"a":"x\\"1', {"a": 'x"1'}),
        ('{"a":{"b":["c', {"a": {"b": ["c"]}}),
        # What cannot become an object shows what came before, and nothing more.
        ('{"a":"x","b":NaN,"c":"y"}', {"a": "x"}),
        ('{"a":"x","b":Infinity', {"a": "x"}),
        ('{"a":"x","b":1e999,"c":"y"}', {"a": "x"}),
        ('{"a":"x","b":01,', {"a": "x"}),
        ('{"a":"x","a":"y"}', {"a": "x"}),
        ('{"a":"x","b":{"c":1,"c":2}}', {"a": "x", "b": {"c": 1}}),
        ('{"a":"x","b":"\\ud83d!"}', {"a": "x", "b": ""}),
        ('{"a":"x","b":"\ud83d!"}', {"a": "x", "b": ""}),
        ("[1,2]", {}),
        ("null", {}),
        ('"x"', {}),
        ("{]", {}),
    ],
)
def test_what_is_shown_of_a_text_so_far(text: str, fields: Any) -> None:
    """A field shows as soon as it cannot become another one."""
    assert last(text) == fields


def test_a_character_in_two_fragments_is_one() -> None:
    """Its first half is held back until the other has come."""
    partial = PartialFields(0)
    assert partial.add('{"a":"x\ud83d') == {"a": "x"}
    assert partial.add('\ude00"') == {"a": "x😀"}


def test_too_deep_is_invalid() -> None:
    """A hundred levels show; ten thousand are no reason to fail."""
    assert last('{"a":' * 100 + '{"b":"x')["a"] != {}
    deep = PartialFields()
    deep.add('{"a":"x","b":')
    assert deep.fields == {"a": "x"}
    assert deep.add("[" * 10_000) is None
    assert deep.fields == {"a": "x"}
    assert json.dumps(last('{"a":' * 150)).count("{") <= 100


def test_it_is_parsed_again_only_after_it_has_grown() -> None:
    """The number of parses grows with the logarithm of the text, which keeps the whole linear."""
    partial = PartialFields()
    partial.add('{"a":"')
    told = sum(partial.add("x" * 20) is not None for _ in range(50_000))
    assert 10 < told < 80
    shown = partial.fields["a"]
    assert len(shown) >= 1_000_000 / (1 + GROWTH) - 20


_TEXTS = st.text() | st.text('\\"/\b\n\ud83d\ude00😀é\0u12,{}[]:eE+-', max_size=20)
_NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -0.0, 1e308, 10**400, -1])
_WHOLE_TEXTS = st.text(st.characters(codec="utf-8"))


def values(texts: st.SearchStrategy[str], numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=12,
    )


@st.composite
def argument_texts(draw: st.DrawFn) -> str:
    """Objects as a model writes them: escaped or not, with spaces or not, with keys twice, with a piece broken."""
    items = draw(st.lists(st.tuples(_TEXTS, values(_TEXTS, _NUMBERS)), max_size=5))
    escaped = draw(st.booleans())
    comma, colon = spaces = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]))
    written = [[json.dumps(one, ensure_ascii=escaped, separators=spaces) for one in pair] for pair in items]
    text = "{" + comma.join(colon.join(pair) for pair in written) + "}"
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text)))
        broken = draw(st.sampled_from(["", "-", "\\", '"', "}", "NaN", "1e999", "tru", ",", "0", "\\ud83d"]))
        text = text[:at] + broken + text[at + 1 :]
    return text


@settings(max_examples=examples(400), deadline=None)
@given(argument_texts(), st.integers(1, 7), st.sampled_from([0.0, GROWTH]))
def test_every_prefix_of_every_text(text: str, size: int, growth: float) -> None:
    """None raises, and no field goes back, however the text is cut."""
    every_answer(text, size, growth)


@settings(max_examples=examples(200), deadline=None)
@given(
    st.dictionaries(
        _WHOLE_TEXTS, values(_WHOLE_TEXTS, st.integers() | st.floats(allow_nan=False, allow_infinity=False)), max_size=5
    ),
    st.booleans(),
)
def test_the_whole_text_shows_the_whole_object(value: dict[str, Any], escaped: bool) -> None:
    """At the end of valid arguments nothing is missing."""
    assert last(json.dumps(value, ensure_ascii=escaped)) == value
