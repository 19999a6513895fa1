"""OpenAI's Conversations API with its own SDK: what is kept with one, its items, and what system messages say."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.integration.protocols.conftest import FAST, Api
from tests.support.made_files import PICTURE

MODEL = "simulator:tour"


def message(text: str, role: str = "user") -> Any:
    return {"type": "message", "role": role, "content": text}


def test_metadata(api: Api):
    """It is kept, replaced and cleared; what it may be is what it may be at OpenAI."""
    conversations = api.openai().conversations
    made = conversations.create(metadata={"topic": "sky"}, items=[message("Hello")])
    assert conversations.retrieve(made.id).metadata == made.metadata == {"topic": "sky"}
    assert conversations.update(made.id, metadata={"topic": "sea", "b": "c"}).metadata == {"topic": "sea", "b": "c"}
    assert conversations.retrieve(made.id).metadata == {"topic": "sea", "b": "c"}
    assert conversations.update(made.id, metadata=None).metadata == {}
    wrong: list[Any] = [{"a": "x" * 513}, {"x" * 65: "a"}, {str(n): "a" for n in range(17)}, {"a": {"b": "c"}}]
    for metadata in wrong:
        with pytest.raises(openai.BadRequestError):
            conversations.update(made.id, metadata=metadata)
    with pytest.raises(openai.NotFoundError):
        conversations.update("conv_nothing", metadata={})


def test_items(api: Api):
    """Added after what is there, with a picture as a file; listed, read and deleted; the next response follows them."""
    client = api.openai()
    made = client.conversations.create(items=[message("One")])
    url = f"data:image/png;base64,{PICTURE}"
    seen: Any = {"role": "user", "content": [{"type": "input_text", "text": "Two"},
                                             {"type": "input_image", "image_url": url, "detail": "auto"}]}  # fmt: skip
    added = client.conversations.items.create(made.id, items=[message("Said", "assistant"), seen])
    assert [item.type for item in added.data] == ["message", "message"]
    assert added.first_id == added.data[0].id
    listed = client.conversations.items.list(made.id, order="asc").data
    assert [item.role for item in listed if item.type == "message"] == ["user", "assistant", "user"]
    assert listed[1:] == added.data
    turns = api.conversation(made.id.removeprefix("conv_"))
    assert turns[2]["parts"][1]["file_id"]
    assert client.conversations.items.delete(added.data[1].id or "", conversation_id=made.id).id == made.id
    assert len(client.conversations.items.list(made.id).data) == 2
    answer = client.responses.create(model=MODEL, input=f"n=2 {FAST}", conversation=made.id)
    assert answer.output_text == "w000001 w000002"
    roles = [turn["role"] for turn in api.conversation(made.id.removeprefix("conv_"))]
    assert roles == ["user", "assistant", "user", "assistant"]


def test_what_cannot_be_an_item(api: Api):
    """A result without its call, none, too many, one of nothing: refused, and nothing was added."""
    client = api.openai()
    made = client.conversations.create()
    output: Any = {"type": "function_call_output", "call_id": "c", "output": "x"}
    wrong: list[Any] = [[output], [], [message("x")] * 21]
    for items in wrong:
        with pytest.raises(openai.BadRequestError):
            client.conversations.items.create(made.id, items=items)
    for call in (client.conversations.items.retrieve, client.conversations.items.delete):
        with pytest.raises(openai.NotFoundError):
            call("msg_nothing_0", conversation_id=made.id)
    assert client.conversations.items.list(made.id).data == []
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.create("conv_nothing", items=[message("x")])


def test_what_system_messages_say_holds(api: Api):
    """Those among items, and in the input of a response, are in the system prompt of every later response there."""
    client = api.openai()

    def system_of(response: Any) -> str | None:
        run = api.loop.run(api.world.store.answer("local", response.id.removeprefix("resp_")))
        return run.request.get("system")

    made = client.conversations.create(items=[message("Be brief.", "system")])
    client.conversations.items.create(made.id, items=[message("Be kind.", "developer"), message("Hello")])
    first = client.responses.create(model=MODEL, input=f"n=1 {FAST}", conversation=made.id, instructions="Now.")
    assert system_of(first) == "Be brief.\n\nBe kind.\n\nNow."
    assert client.responses.retrieve(first.id).instructions == "Now."
    chained = client.responses.create(model=MODEL, input=[message("Speak Dutch.", "system"), message(f"n=1 {FAST}")])
    second = client.responses.create(model=MODEL, input=f"n=1 {FAST}", previous_response_id=chained.id)
    assert system_of(second) == "Speak Dutch."
    alone = client.responses.create(model=MODEL, input=[message(f"n=1 {FAST}", "system")])
    assert (alone.output_text, system_of(alone)) == ("w000001", None)
