"""Every parameter of the vendors' SDKs is honoured, refused, or known to change nothing: none is overlooked."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from anthropic.types import message_create_params as messages
from anthropic.types.beta import message_create_params as beta_messages
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses

from streamchat.errors import InvalidInput
from streamchat.protocols.anthropic import request as anthropic_request
from streamchat.protocols.fields import Shape
from streamchat.protocols.openai_chat import request as chat_request
from streamchat.protocols.openai_responses import request as responses_request

QUESTION: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
CASES = [
    (chat.CompletionCreateParamsBase, chat_request.ChatRequest, chat_request, QUESTION),
    (responses.ResponseCreateParamsBase, responses_request.ResponsesRequest, responses_request,
     {"model": "m", "input": "hi"}),
    (messages.MessageCreateParamsBase, anthropic_request.MessagesRequest, anthropic_request, QUESTION),
    (beta_messages.MessageCreateParamsBase, anthropic_request.MessagesRequest, anthropic_request, QUESTION),
]  # fmt: skip


def parameters(kind: type) -> set[str]:
    """The keys of a ``TypedDict``, those that it inherits too."""
    return {name for base in kind.__mro__ for name in getattr(base, "__annotations__", {})}


@pytest.mark.parametrize(
    ("kind", "shape", "module", "question"), CASES, ids=lambda value: getattr(value, "__name__", "")
)
def test_every_parameter_of_the_sdk(kind: type, shape: type[Shape], module: ModuleType, question: dict[str, Any]):
    """It is a field of the request, or in the list of what is refused, or in that of what changes nothing."""
    fields = {field.alias or name for name, field in shape.model_fields.items()}
    refused = {*module.UNSUPPORTED, *getattr(module, "THREADS", ())}
    assert parameters(kind) <= fields | refused | module.IGNORED
    assert not fields & (refused | module.IGNORED)
    assert not refused & module.IGNORED


@pytest.mark.parametrize(
    ("kind", "shape", "module", "question"), CASES, ids=lambda value: getattr(value, "__name__", "")
)
def test_what_is_refused_is_named(kind: type, shape: Any, module: ModuleType, question: dict[str, Any]):
    """With any value but those that change nothing; what changes nothing is taken."""
    for name in module.UNSUPPORTED:
        with pytest.raises(InvalidInput, match=name):
            shape.model_validate({**question, name: "something"}).client_request()
    for name in module.IGNORED:
        shape.model_validate({**question, name: "something"}).client_request()


@pytest.mark.parametrize(
    ("shape", "more", "name"),
    [
        (responses_request.ResponsesRequest, {"input": "hi", "text": {"verbosity": "low"}}, "verbosity"),
        (responses_request.ResponsesRequest, {"input": "hi", "tools": [{"type": "custom", "name": "x"}]}, "custom"),
        (chat_request.ChatRequest, {**QUESTION, "tools": [{"type": "custom", "custom": {"name": "x"}}]}, "custom"),
        (
            anthropic_request.MessagesRequest,
            {**QUESTION, "output_config": {"task_budget": {"total": 9}}},
            "task_budget",
        ),
    ],
)
def test_fields_of_parts_are_refused_too(shape: Any, more: dict[str, Any], name: str):
    """What would change the answer; a value that is the default is taken."""
    with pytest.raises(InvalidInput, match=name):
        shape.model_validate({"model": "m", **more}).client_request()
    responses_request.ResponsesRequest.model_validate(
        {"model": "m", "input": "hi", "text": {"verbosity": "medium"}}
    ).client_request()


def test_what_include_cannot_bring():
    """Probabilities are refused; what always comes, and what only the vendor's tools have, is taken."""
    request = responses_request.ResponsesRequest(model="m", input="hi", include=["reasoning.encrypted_content"])
    request.client_request()
    request.include = ["message.output_text.logprobs"]
    with pytest.raises(InvalidInput, match="include"):
        request.client_request()


def test_a_system_message_alone():
    """It is the question; an empty user message beside it is none."""
    for more in ([], [{"role": "user", "content": ""}]):
        body = {"model": "m", "messages": [{"role": "system", "content": "Say hello."}, *more]}
        request = chat_request.ChatRequest.model_validate(body).client_request()
        assert request.system is None
        assert [getattr(part, "text", "") for part in request.question] == ["Say hello."]
    with pytest.raises(InvalidInput, match="no message"):
        chat_request.ChatRequest(model="m", messages=[chat_request.MessageIn(role="user", content="")]).client_request()
