"""Import of exported conversations: what comes back, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamchat.chat.events import Finished, ReasoningDelta, TextDelta, ToolCallStarted
from streamchat.errors import InvalidInput
from streamchat.web.importing import read_import
from tests.integration.web.conftest import Api

CHATGPT = {
    "title": "Herons",
    "current_node": "c",
    "mapping": {
        "root": {"id": "root", "parent": None, "message": None},
        "s": {"parent": "root", "message": {"author": {"role": "system"}, "content": {"parts": [""]}}},
        "a": {
            "parent": "s",
            "message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["Why?"]}},
        },
        "other": {
            "parent": "a",
            "message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["Not this."]}},
        },
        "c": {
            "parent": "a",
            "message": {
                "author": {"role": "assistant"},
                "content": {"content_type": "text", "parts": ["Because."]},
                "metadata": {"model_slug": "gpt-9"},
            },
        },
    },
}


async def bring(api: Api, text: str) -> Any:
    return await api.client.post("/api/conversations/import", json={"text": text, "name": "x.json"})


async def test_what_was_exported_comes_back(api: Api):
    """As JSON everything that readers see, as Markdown the text; both are found by search, and can be continued."""
    run_id = await api.said(ReasoningDelta("hm"), TextDelta("# yes, heron"), ToolCallStarted("c", "plot"), Finished())
    where = (await api.client.get(f"/api/runs/{run_id}")).json()["conversation_id"]
    original = (await api.client.get(f"/api/conversations/{where}")).json()["messages"]
    for form in ("json", "markdown"):
        exported = (await api.client.get(f"/api/conversations/{where}/export?format={form}")).text
        response = await bring(api, exported)
        assert response.status_code == 201, response.text
        (imported,) = response.json()["conversations"]
        copy = (await api.client.get(f"/api/conversations/{imported['id']}")).json()
        assert copy["title"] == "hello"
        assert [message["role"] for message in copy["messages"]] == ["user", "assistant"]
        assert copy["messages"][1]["text"].startswith(original[1]["text"])
    hits = (await api.client.get("/api/search?q=heron")).json()["hits"]
    assert {imported["id"], where} <= {hit["conversation_id"] for hit in hits}
    more = await api.client.post(
        "/api/runs", json={"message": "more", "conversation_id": imported["id"], "model": "fake:one"}
    )
    assert more.status_code == 201
    assert [message.role for message in api.provider.requests[-1].messages] == ["user", "assistant", "user"]


def test_the_export_of_chatgpt_is_read():
    """The branch that was shown last, without system prompts."""
    (one,) = read_import(json.dumps([CHATGPT]))
    assert one.title == "Herons"
    assert [(m.role, m.text, m.model) for m in one.messages] == [
        ("user", "Why?", ""),
        ("assistant", "Because.", "chatgpt:gpt-9"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([CHATGPT])[:-40],
        "[" * 100_000,
        "hello",
        "[]",
        "[1]",
        "{}",
        '{"messages": []}',
        '{"messages": [{"id": "x"}]}',
        '{"messages": ' + "[" * 600 + "]" * 600 + "}",
        '{"messages": [{"id": "x", "role": "user", "status": "finished", "parts": [{"type": "hologram"}]}]}',
        '{"messages": [{"id": "x", "role": "user", "status": "finished", "parts": [{"type": "text", "text": 7}]}]}',
        '{"messages": [{"id": "x", "role": "root", "status": "finished", "parts": []}]}',
        '{"mapping": {"a": {"parent": "a", "message": 5}}, "current_node": "a"}',
    ],
)
async def test_a_file_that_cannot_be_read_is_refused(api: Api, text: str):
    """With a reason, and nothing of it is stored."""
    response = await bring(api, text)
    assert response.status_code == 422, response.text
    assert (await api.client.get("/api/conversations")).json()["conversations"] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["messages", "mapping", "parts", "role", "id", "title", "status"]), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_file_surprises(data: Any):
    """Any JSON is read or refused."""
    try:
        assert read_import(json.dumps(data))
    except InvalidInput:
        pass
