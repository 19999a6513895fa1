"""History that fits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamchat.chat.messages import ImagePart, Message, TextPart
from streamchat.runs.context_window import estimate, fit


def turns(*lengths: int) -> list[Message]:
    roles = ("user", "assistant")
    return [Message(str(i), roles[i % 2], (TextPart("x" * n),)) for i, n in enumerate(lengths)]


def test_what_fits_is_sent_whole():
    """Nothing is left out, and nothing is said, where everything fits or the window is unknown."""
    history = turns(30, 30, 30)
    assert fit(history, window=4000) == (tuple(history), None)
    assert fit(turns(10**6, 3, 3), window=None)[1] is None


def test_the_oldest_turns_are_left_out_with_a_notice():
    """Whole turns go, oldest first, and the notice says how many messages."""
    history = turns(3000, 3000, 300, 300, 30)
    kept, notice = fit(history, window=1000)
    assert [m.id for m in kept] == ["2", "3", "4"]
    assert notice is not None
    assert notice.kind == "shortened"
    assert notice.data == {"left_out": 2, "window": 1000}


def test_the_question_is_never_left_out():
    """A message that alone is too long goes to the provider, which says so."""
    kept, _ = fit(turns(30, 30, 10**6), window=1000)
    assert [m.id for m in kept] == ["2"]


def test_a_partial_answer_stays_with_its_question():
    """Continue sends the question and the partial."""
    kept, _ = fit(turns(3000, 3000, 30, 30), window=1000)
    assert [m.id for m in kept] == ["2", "3"]


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=20), st.integers(100, 5000))
def test_what_is_kept_is_the_end_of_the_history(lengths, window):
    """Always a suffix that begins with a person's message, and a notice exactly if something is missing."""
    history = turns(*lengths)
    kept, notice = fit(history, window=window)
    assert tuple(history[len(history) - len(kept) :]) == kept
    assert kept[0].role == "user"
    assert (notice is None) == (len(kept) == len(history))


def test_wide_characters_and_pictures_count():
    """CJK text is about a token a character; a picture has a price of its own."""
    assert estimate(Message("a", "user", (TextPart("漢" * 300),))) >= 300
    assert estimate(Message("a", "user", (ImagePart("image/png", ""),))) > 1000
