"""Options whose loss would change an answer are refused for a model that does not take them."""

from __future__ import annotations

import pytest

from streamchat.chat.request import ANY_TOOL, Options, RunOptions
from streamchat.errors import InvalidInput
from streamchat.protocols.conversation_in import ClientRequest
from streamchat.providers.base import Capabilities, ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.web.compat.start import check_options

MODELS = (
    ModelInfo("x:all", "All", capabilities=Capabilities()),
    ModelInfo("x:plain", "Plain", capabilities=Capabilities(tools=False, refuses=frozenset({"top_p", "stop", "seed"}))),
)
CATALOG = Catalog([Source("x", None, MODELS)])  # pyright: ignore[reportArgumentType] nobody is asked


@pytest.mark.parametrize(
    ("options", "field"),
    [(Options(top_p=0.0), "top_p"), (Options(tool_choice=ANY_TOOL), "tool_choice")],
)
def test_what_a_model_does_not_take_is_refused(options: Options, field: str) -> None:
    """With a message that names the field and the model."""
    check_options(CATALOG, ClientRequest("x:all", (), options=options))
    with pytest.raises(InvalidInput, match=f"^{field}: Plain"):
        check_options(CATALOG, ClientRequest("x:plain", (), options=options))


@pytest.mark.parametrize(
    "options",
    [Options(), Options(temperature=1.0), Options(seed=1, parallel_tool_calls=False), Options(stop=("x",))],
)
def test_what_changes_nothing_essential_is_left_out(options: Options) -> None:
    """``stop`` is obeyed by us if a model does not take it."""
    check_options(CATALOG, ClientRequest("x:plain", (), options=options))


def test_options_are_kept_with_the_run() -> None:
    """For Retry, and for an answer that another worker takes over."""
    options = Options(top_p=0.5, stop=("a", "b"), seed=1, tool_choice="f", parallel_tool_calls=False)
    assert RunOptions.from_json(RunOptions(options=options).to_json()).options == options
