"""A parameter is honoured, or refused in the vendor's shape; and a client may have its answers end with it."""

from __future__ import annotations

import time
from typing import Any

import anthropic
import openai
import pytest

from tests.integration.protocols.conftest import FAST, Api

QUESTION: dict[str, Any] = {"model": "simulator:tour", "messages": [{"role": "user", "content": f"n=3 {FAST}"}]}
CHAT = {
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"50256": -100},
    "frequency_penalty": 0.5,
    "presence_penalty": -1,
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "mp3"},
    "functions": [{"name": "f"}],
    "function_call": "auto",
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low"},
    "top_k": 40,
    "min_p": 0.1,
    "repetition_penalty": 1.1,
}
NOTHING = {
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": {},
    "frequency_penalty": 0,
    "presence_penalty": 0.0,
    "modalities": ["text"],
    "audio": None,
    "functions": [],
    "verbosity": "medium",
    "top_k": -1,
    "repetition_penalty": 1.0,
    "user": "somebody",
    "service_tier": "auto",
    "metadata": {"a": "b"},
    "prompt_cache_key": "k",
}
RESPONSES = {"max_tool_calls": 2, "prompt": {"id": "pmpt_1"}, "top_logprobs": 3}
MESSAGES = {"top_k": 5, "container": "c", "mcp_servers": [{"type": "url", "url": "https://example.com", "name": "x"}]}


@pytest.mark.parametrize("name", CHAT)
def test_chat_completions_refuse(api: Api, name: str):
    """What would change the answer is named in a 400."""
    with pytest.raises(openai.BadRequestError, match=name):
        api.openai().chat.completions.create(**QUESTION, extra_body={name: CHAT[name]})


def test_what_changes_nothing_is_taken(api: Api):
    """Values that are the default, and what only identifies or accounts."""
    answer = api.openai().chat.completions.create(**QUESTION, extra_body=NOTHING)
    assert answer.choices[0].message.content == "w000001 w000002 w000003"


@pytest.mark.parametrize("name", RESPONSES)
def test_responses_refuse(api: Api, name: str):
    """The same of Responses."""
    with pytest.raises(openai.BadRequestError, match=name):
        api.openai().responses.create(model="simulator:tour", input="hi", extra_body={name: RESPONSES[name]})


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_refuse(api: Api, name: str):
    """The same of Messages."""
    with pytest.raises(anthropic.BadRequestError, match=name):
        api.anthropic().messages.create(**QUESTION, max_tokens=99, extra_body={name: MESSAGES[name]})


@pytest.mark.parametrize("thread", [{"thread": {"type": "create"}}, {"previous_message_id": "msg_1"}])
def test_threads_are_not_kept(api: Api, thread: dict[str, Any]):
    """The error code tells the SDK to send the whole conversation instead."""
    with pytest.raises(anthropic.BadRequestError) as refused:
        api.anthropic().messages.create(**QUESTION, max_tokens=99, extra_body=thread)
    body: Any = refused.value.body
    assert body["error"]["details"] == {"error_code": "thread_unsupported_request"}


def test_the_older_name_of_a_schema(api: Api):
    """``output_format`` is ``output_config.format``."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = {"output_format": {"type": "json_schema", "schema": schema}}
    answer = api.anthropic().messages.create(**QUESTION, max_tokens=99, extra_body=form)
    assert '"city"' in "".join(block.text for block in answer.content if block.type == "text")


def test_request_ids(api: Api):
    """Both SDKs find the id of the run where they look for the request's."""
    answer = api.openai().chat.completions.create(**QUESTION)
    assert answer._request_id
    assert answer.id == f"chatcmpl-{answer._request_id}"
    message = api.anthropic().messages.create(**QUESTION, max_tokens=99)
    assert message._request_id
    assert message.id == f"msg_{message._request_id}"


@pytest.mark.parametrize(("header", "status"), [({"X-Stop-On-Disconnect": "1"}, "stopped"), ({}, "streaming")])
def test_a_client_that_goes(api: Api, header: dict[str, str], status: str):
    """Its answer goes on, unless the client asked that it be stopped."""
    question: Any = {**QUESTION, "messages": [{"role": "user", "content": "n=20000 rate=50"}]}
    raw = api.openai().chat.completions.with_raw_response.create(**question, stream=True, extra_headers=header)
    run_id, stream = raw.headers["x-run-id"], raw.parse()
    next(iter(stream))
    stream.close()

    def now() -> dict[str, Any]:
        return api.http.get(f"/api/runs/{run_id}").json()

    read = now()["seq"]
    end = time.monotonic() + 60
    # One that goes on says more than was read.
    while now()["status"] == "streaming" and not (not header and now()["seq"] > read + 20) and time.monotonic() < end:
        time.sleep(0.1)
    assert now()["status"] == status
    api.http.delete(f"/api/runs/{run_id}")


@pytest.mark.parametrize("path", ["", "/v1/v1"])
def test_a_wrong_base_url_is_told(api: Api, path: str):
    """Each SDK with its base URL as the other one's: an error of the vendor's shape that has the right one."""
    right = f"{api.url}/v1"
    if not path:
        client = api.openai().with_options(base_url=api.url)
        with pytest.raises(openai.NotFoundError, match=right):
            client.chat.completions.create(**QUESTION)
        with pytest.raises(openai.NotFoundError, match=right):
            client.responses.create(model="simulator:tour", input="hi")
    else:
        with pytest.raises(anthropic.NotFoundError, match=api.url):
            api.anthropic().with_options(base_url=right).messages.create(**QUESTION, max_tokens=9)


def test_an_unknown_model_in_each_shape(api: Api):
    """The list of models answers in the shape of the SDK that asks, with its errors too."""
    with pytest.raises(openai.NotFoundError) as refused:
        api.openai().models.retrieve("nothing:here")
    assert refused.value.code == "model_not_found"
    with pytest.raises(anthropic.NotFoundError) as other:
        api.anthropic().models.retrieve("nothing:here")
    body: Any = other.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "not_found_error")


@pytest.mark.parametrize("wire", ["chat", "responses", "anthropic"])
def test_stop_is_obeyed_whatever_the_provider_knows(api: Api, wire: str):
    """Responses have no stop texts: the answer ends there all the same."""
    question: Any = {**QUESTION, "messages": [{"role": "user", "content": f"n=9 wire={wire} {FAST}"}]}
    answer = api.openai().chat.completions.create(**question, stop=" w000004")
    assert answer.choices[0].message.content == "w000001 w000002 w000003"
    assert answer.choices[0].finish_reason == "stop"
