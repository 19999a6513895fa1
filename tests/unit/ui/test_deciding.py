"""A decision that a client sends may be anything."""

from __future__ import annotations

import pytest

from streamchat.errors import InvalidInput
from streamchat.runs.approvals import Decision
from streamchat.ui.approvals import decision_of


def test_what_a_page_sends() -> None:
    """What the form says is the decision; what it leaves out is the cautious default."""
    said = {"approve": True, "arguments": {"a": 1}, "reason": "no", "always": True}
    assert decision_of(said) == Decision(True, {"a": 1}, "no", True)
    assert decision_of({"approve": False}) == Decision(False)


@pytest.mark.parametrize(
    "said",
    [
        None, [], "yes", 1, {}, {"approve": 1}, {"approve": "true"}, {"approve": True, "arguments": []},
        {"approve": True, "arguments": "x"}, {"approve": True, "arguments": {1: 2}},
        {"approve": True, "always": "no"}, {"approve": False, "reason": 7},
    ],
)  # fmt: skip
def test_anything_else_is_refused(said: object) -> None:
    """Nothing is taken for an approval that does not say so exactly."""
    with pytest.raises(InvalidInput):
        decision_of(said)
