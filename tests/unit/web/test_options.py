"""Options whose loss would change an answer are refused for a model that does not take them."""

from __future__ import annotations

import pytest

from streamchat.chat.request import ANY_TOOL, Options, RunOptions
from streamchat.errors import InvalidInput
from streamchat.protocols.conversation_in import ClientRequest
from streamchat.providers.base import Capabilities, ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.web.compat.start import check_request

MODELS = (
    ModelInfo("x:all", "All", capabilities=Capabilities()),
    ModelInfo("x:plain", "Plain", capabilities=Capabilities(tools=False, refuses=frozenset({"top_p", "stop", "seed"}))),
)
CATALOG = Catalog([Source("x", None, MODELS)])  # pyrefly: ignore[bad-argument-type] nobody is asked


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (Options(top_p=0.0), "top_p"),
        (Options(seed=1), "seed"),
        (Options(tool_choice=ANY_TOOL), "tool_choice"),
        (Options(parallel_tool_calls=False), "parallel_tool_calls"),
        (Options(reasoning_effort="high"), "reasoning_effort"),
    ],
)
def test_what_a_model_does_not_take_is_refused(options: Options, field: str) -> None:
    """With a message that names the field and the model."""
    if options.reasoning_effort is None:
        check_request(CATALOG, ClientRequest("x:all", (), options=options))
    with pytest.raises(InvalidInput, match=f"^{field}: Plain"):
        check_request(CATALOG, ClientRequest("x:plain", (), options=options))


@pytest.mark.parametrize(
    "options",
    [Options(), Options(temperature=1.0), Options(reasoning_effort="none"), Options(stop=("x",)), Options(schema={})],
)
def test_what_is_obeyed_is_taken(options: Options) -> None:
    """By the model, or here: ``stop``, a schema in words, and no thinking of one that does not think."""
    check_request(CATALOG, ClientRequest("x:plain", (), options=options))


def test_options_are_kept_with_the_run() -> None:
    """For Retry, and for an answer that another worker takes over."""
    options = Options(top_p=0.5, stop=("a", "b"), seed=1, tool_choice="f", parallel_tool_calls=False)
    assert RunOptions.from_json(RunOptions(options=options).to_json()).options == options
