"""What an ended message says and offers."""

from __future__ import annotations

import pytest

from streamchat.chat.events import Ending, Failed, Finished, Interrupted, Stopped, TextDelta
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.chat.outcome import explain, offers

STREAMING = Message("m", "assistant", status="streaming")


def ended(ending: Ending, text: str = "half") -> Message:
    return fold(STREAMING, [*([TextDelta(text)] if text else []), ending])


@pytest.mark.parametrize("reason", ["stop", "tool-calls"])
def test_a_complete_answer_needs_no_words(reason):
    """The provider's plain end offers nothing and says nothing."""
    assert (explain(ended(Finished(reason))), offers(ended(Finished(reason)))) == (None, ())


@pytest.mark.parametrize(
    ("ending", "words", "offered"),
    [
        (Finished("length"), "token limit", ("retry", "continue")),
        (Finished("refusal"), "declined", ("retry",)),
        (Finished("content-filter"), "filter", ("retry",)),
        (Finished("pause"), "paused", ("retry", "continue")),
        (Finished("model_got_bored"), "model_got_bored", ("retry", "continue")),
        (Stopped(), "Stopped", ("retry", "continue")),
        (Stopped(84, 1204), "Stopped · 1 word kept.", ("retry", "continue")),
        (Interrupted("It broke.", "reset"), "broke", ("retry", "continue")),
        (Failed("Too long.", "context-too-long"), "Too long", ("retry",)),
        (Failed("Busy.", "overloaded"), "Busy", ("retry", "continue")),
    ],
)
def test_every_other_end_says_why_and_offers_what_makes_sense(ending, words, offered):
    """Nothing reads as complete that is not."""
    assert words in (explain(ended(ending)) or "")
    assert offers(ended(ending)) == offered


def test_an_empty_answer_says_so():
    """An answer that ends in order, and has nothing to read, is no complete one."""
    empty = ended(Finished("stop"), text=" \n")
    assert "empty" in (explain(empty) or "")
    assert offers(empty) == ("retry",)
    assert explain(ended(Stopped(), text="")) == "Stopped."


def test_without_a_text_there_is_nothing_to_continue():
    """Continue needs a partial answer."""
    assert offers(ended(Interrupted(), text="")) == ("retry",)


def test_while_it_is_written_nothing_is_said():
    """A streaming answer and a person's message have no end to explain."""
    assert explain(STREAMING) is None
    assert offers(Message("u", "user")) == ()
