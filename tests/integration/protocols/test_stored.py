"""What a client may rely on of stored responses: references, input, deletion; and that what is not stored is gone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openai
import pytest

from streamchat.chat.messages import ReasoningPart
from tests.integration.protocols.conftest import FAST, Api
from tests.integration.protocols.test_responses import WEATHER
from tests.support.made_files import PICTURE

SECRET = "zebrafish"
MODEL = "simulator:tour"


def ask(api: Api, question: str = f"n=3 {FAST}", **more: Any) -> Any:
    asked: dict[str, Any] = {"model": MODEL, "input": question, **more}
    return api.openai().responses.create(**asked)


def gone(api: Api, path: str) -> None:
    """Wait until this is not found any more."""
    end = time.monotonic() + 30
    while (status := api.http.get(path).status_code) != 404 and time.monotonic() < end:
        time.sleep(0.02)
    assert status == 404


def files(path: Path) -> bytes:
    """Everything that the database has written to its files."""
    return b"".join(file.read_bytes() for file in path.glob("*.db*"))


def test_an_item_is_sent_back_by_its_id(api: Api):
    """As the AI SDK does by default: text, thinking and calls are found again, with the signature of the thinking."""
    client = api.openai()
    first = client.responses.create(model="simulator:reasoning", input=f"hello wire=responses {FAST}")
    assert {item.type for item in first.output} == {"reasoning", "message"}
    references = [{"type": "item_reference", "id": item.id} for item in first.output]
    question = {"role": "user", "content": f"hello {FAST}"}
    second = ask(api, input=[question, *references, {**question, "content": f"n=2 {FAST}"}])
    turns = api.conversation(api.run(second.id.removeprefix("resp_"))["conversation_id"])
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant"]
    assert turns[1]["text"] == first.output_text
    branch = api.loop.run(api.world.store.question_branch("local", second.id.removeprefix("resp_")))
    assert [part.opaque is not None for part in branch[1].parts if isinstance(part, ReasoningPart)] == [True]


def test_a_call_is_sent_back_by_its_id(api: Api):
    """The reference stands for the call, and its output follows."""
    client = api.openai()
    question = {"role": "user", "content": f"hello {FAST}"}
    first = ask(api, model="simulator:tools", input=[question], tools=[WEATHER])
    (call,) = [item for item in first.output if item.type == "function_call"]
    references: Any = [{"id": item.id} for item in first.output if item.id]
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = ask(api, model="simulator:tools", input=[question, *references, output], tools=[WEATHER])
    assert second.output_text
    items = client.responses.input_items.list(second.id, order="asc").data
    assert [item.type for item in items] == ["message", "message", "function_call", "function_call_output"]
    by_id: Any = [{"type": "item_reference", "id": item.id} for item in [*items, *second.output]]
    third = client.responses.create(model=MODEL, input=[*by_id, {"role": "user", "content": f"n=2 {FAST}"}])
    turns = api.conversation(api.run(third.id.removeprefix("resp_"))["conversation_id"])
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant"]
    assert [part["type"] for part in turns[1]["parts"]] == ["text", "tool_call", "text"]


@pytest.mark.parametrize("item_id", ["msg_nothing_0", "rs_", "x", "msg_temporary-unkept-x_0"])
def test_a_reference_to_nothing(api: Api, item_id: str):
    """It is not found, whatever it looks like."""
    with pytest.raises(openai.NotFoundError, match="item"):
        ask(api, input=[{"type": "item_reference", "id": item_id}, {"role": "user", "content": "hi"}])


@pytest.mark.parametrize("stream", [False, True])
def test_not_stored(api: Api, tmp_path: Path, stream: bool):
    """``store: false``: the answer comes, and then it is nowhere: not by its id, not in a list, not in the database."""
    client = api.openai()
    raw = client.responses.with_raw_response.create(
        model=MODEL, input=f"{SECRET} n=3 {FAST}", store=False, stream=stream
    )
    run_id, conversation_id = raw.headers["x-run-id"], raw.headers["x-conversation-id"]
    parsed: Any = raw.parse()
    response = parsed if not stream else list(parsed)[-1].response
    assert response.output_text.startswith("w000001")
    assert response.store is False
    gone(api, f"/api/runs/{run_id}")
    gone(api, f"/api/conversations/{conversation_id}")
    gone(api, f"/api/runs/{run_id}/events")
    for call in (client.responses.retrieve, client.responses.cancel, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            call(response.id)
    with pytest.raises(openai.NotFoundError):
        ask(api, previous_response_id=response.id)
    assert api.http.get("/api/conversations").json()["conversations"] == []
    assert api.http.get(f"/api/search?q={SECRET}").json()["hits"] == []
    assert SECRET.encode() not in files(tmp_path)
    assert api.loop.run(_rows(api)) == 0


async def _rows(api: Api) -> int:
    """How many answers there are in the memory of temporary chats."""
    return len(await api.world.store.drop_temporary(datetime.now(UTC) + timedelta(hours=1)))


def test_not_stored_chat_completions(api: Api, tmp_path: Path):
    """The same of chat completions; without ``store`` a request is a run as any other."""
    question: Any = {"model": MODEL, "messages": [{"role": "user", "content": f"{SECRET} n=3 {FAST}"}]}
    raw = api.openai().chat.completions.with_raw_response.create(**question, store=False)
    assert raw.parse().choices[0].message.content
    gone(api, f"/api/runs/{raw.headers['x-run-id']}")
    assert SECRET.encode() not in files(tmp_path)
    api.openai().chat.completions.create(**question)
    assert len(api.http.get("/api/conversations").json()["conversations"]) == 1


def test_not_stored_after_what_is_stored(api: Api):
    """The stored history is read, and nothing is added to it."""
    first = ask(api)
    second = ask(api, store=False, previous_response_id=first.id)
    assert second.output_text
    run = api.run(first.id.removeprefix("resp_"))
    assert len(api.conversation(run["conversation_id"])) == 2


def test_thinking_comes_back_though_nothing_is_stored(api: Api):
    """The handle of what was not stored is good for the next request: the simulator's signature is known again."""
    question: Any = {"role": "user", "content": f"hello wire=responses {FAST}"}
    include = ["reasoning.encrypted_content"]
    first = ask(api, model="simulator:reasoning", input=[question], store=False, include=include)
    gone(api, f"/api/runs/{first.id.removeprefix('resp_')}")
    items: Any = [item.to_dict() for item in first.output]
    second = ask(api, input=[question, *items, {**question, "content": f"n=2 {FAST}"}])
    run = api.run(second.id.removeprefix("resp_"))
    branch = api.loop.run(api.world.store.question_branch("local", run["run_id"]))
    assert [part.opaque is not None for part in branch[1].parts if isinstance(part, ReasoningPart)] == [True]


def test_out_of_the_list(api: Api):
    """``X-Archive`` begins a conversation in the archive: it is stored, and not on the page's list."""
    ask(api, extra_headers={"X-Archive": "1"})
    ask(api)
    listed = api.http.get("/api/conversations").json()["conversations"]
    archived = api.http.get("/api/conversations?archived=true").json()["conversations"]
    assert (len(listed), len(archived)) == (1, 1)


def test_input_items(api: Api):
    """All that the response was given, in pages and in both orders."""
    client = api.openai()
    picture = f"data:image/png;base64,{PICTURE}"
    content = [{"type": "input_text", "text": f"n=1 {FAST}"}, {"type": "input_image", "image_url": picture}]
    first = ask(api, input=[{"role": "user", "content": content}])
    second = ask(api, previous_response_id=first.id)
    items = list(client.responses.input_items.list(second.id, order="asc", limit=1))
    assert [getattr(item, "role", "") for item in items] == ["user", "assistant", "user"]
    shown: Any = items[0].to_dict()
    assert [part["type"] for part in shown["content"]] == ["input_text", "input_image"]
    again = ask(api, input=[{"role": "user", "content": shown["content"]}])  # the picture is named by its id now
    assert client.responses.input_items.list(again.id).data[0].to_dict()["content"] == shown["content"]
    assert items[1].to_dict() == first.output[0].to_dict()
    newest = client.responses.input_items.list(second.id).data
    assert [item.id for item in newest] == [item.id for item in reversed(items)]


def test_retrieved_whole(api: Api):
    """A response that is read again is the one that came, but for what only its request had."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    more = {"metadata": {"topic": "fish"}, "text": {"format": {"type": "json_schema", "name": "x", "schema": schema}}}
    first = ask(api, instructions="Brief.", temperature=0.5, parallel_tool_calls=False, **more)
    again = api.openai().responses.retrieve(first.id)
    one, other = first.to_dict(), again.to_dict()
    one.pop("created_at")
    assert abs(other.pop("created_at") - first.created_at) < 60
    assert other == one


def test_deleted(api: Api):
    """A deleted response is gone, with its conversation if that has no other; others keep what they need."""
    client = api.openai()
    first = ask(api)
    second = ask(api, previous_response_id=first.id)
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    assert client.responses.retrieve(second.id).output_text
    alone = ask(api, f"{SECRET} n=1 {FAST}")
    run = api.run(alone.id.removeprefix("resp_"))
    client.responses.delete(alone.id)
    gone(api, f"/api/conversations/{run['conversation_id']}")
    with pytest.raises(openai.NotFoundError):
        client.responses.delete(alone.id)


def test_a_conversation(api: Api):
    """Created with items, filled by responses, listed, and deleted."""
    client = api.openai()
    created = client.conversations.create(items=[{"type": "message", "role": "user", "content": "before"}])
    response = ask(api, conversation=created.id)
    assert response.conversation is not None
    assert response.conversation.id == created.id
    ask(api, input=[{"role": "user", "content": "one"}, {"role": "user", "content": f"n=1 {FAST}"}],
        conversation={"id": created.id})  # fmt: skip
    items = list(client.conversations.items.list(created.id, order="asc"))
    assert [getattr(item, "role", "") for item in items] == ["user", "user", "assistant", "user", "user", "assistant"]
    assert client.conversations.items.retrieve(items[2].id or "", conversation_id=created.id).id == items[2].id
    assert client.conversations.retrieve(created.id).id == created.id
    client.conversations.delete(created.id)
    for call in (client.conversations.retrieve, client.conversations.items.list, client.conversations.delete):
        with pytest.raises(openai.NotFoundError):
            call(created.id)
    with pytest.raises(openai.NotFoundError):
        ask(api, conversation=created.id)
    with pytest.raises(openai.BadRequestError, match="conversation"):
        ask(api, conversation=created.id, previous_response_id=response.id)


def test_a_result_and_a_question_in_a_conversation(api: Api):
    """Both count: the call has its result, and the question follows."""
    client = api.openai()
    created = client.conversations.create()
    first = ask(api, f"hello {FAST}", model="simulator:tools", tools=[WEATHER], conversation=created.id)
    (call,) = [item for item in first.output if item.type == "function_call"]
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = ask(api, input=[output, {"role": "user", "content": f"n=2 {FAST}"}], conversation=created.id)
    turns = api.conversation(api.run(second.id.removeprefix("resp_"))["conversation_id"])
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant"]
    assert [part.get("result") for part in turns[1]["parts"] if part["type"] == "tool_call"] == ["sunny"]
