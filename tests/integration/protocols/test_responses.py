"""OpenAI's Responses API with its own SDK, against a real server, answered by the simulator."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.integration.protocols.conftest import FAST, Api
from tests.support.made_files import PICTURE

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


def ask(said: str, scene: str = "tour", **more: Any) -> dict[str, Any]:
    return {"model": f"simulator:{scene}", "input": f"{said} {FAST}", **more}


def api_output(response: Any) -> list[dict[str, Any]]:
    """Its items, without what the SDK puts in."""
    items = [item.to_dict() for item in response.output]
    for item in items:
        item.pop("parsed_arguments", None)
        for part in item.get("content") or ():
            part.pop("parsed", None)
    return items


def test_an_answer_in_one_piece(api: Api):
    """Text, status and usage as the SDK reads them; the run is there for every other client."""
    raw = api.openai().responses.with_raw_response.create(**ask("n=5", instructions="Be brief."))
    response = raw.parse()
    assert response.output_text == "w000001 w000002 w000003 w000004 w000005"
    assert (response.status, response.model, response.instructions) == ("completed", "simulator:tour", "Be brief.")
    assert response.usage is not None
    assert response.usage.output_tokens == 5
    run = api.run(raw.headers["x-run-id"])
    assert response.id == f"resp_{run['run_id']}"
    assert run["message"]["text"] == response.output_text


@pytest.mark.parametrize("scene", ["tour", "reasoning", "split-emoji", "parallel-tools", "tools"])
def test_a_stream_adds_up_to_the_whole(api: Api, scene: str):
    """The SDK's strict reader takes it; events are numbered without a gap; the last response holds what was told."""
    with api.openai().responses.stream(**ask("hello", scene)) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events][:2] == ["response.created", "response.in_progress"]
    assert events[-1].type == "response.completed"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == final.output_text
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert [item.to_dict() for item in done] == api_output(final)
    arguments = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
    assert arguments == "".join(item.arguments for item in final.output if item.type == "function_call")


async def test_asynchronously(api: Api):
    """The same with the asynchronous SDK, raw and with its reader."""
    async with api.async_openai() as client:
        whole = await client.responses.create(**ask("n=7"))
        stream = await client.responses.create(**ask("n=7"), stream=True)
        text = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        assert "".join(text) == whole.output_text
        async with client.responses.stream(**ask("hello", "reasoning")) as told:
            final = await told.get_final_response()
    assert [item.type for item in final.output][0] == "reasoning"


def test_thinking_is_an_item_of_its_own(api: Api):
    """Its summary comes as events, and not in the text."""
    events = list(api.openai().responses.create(**ask("hello", "reasoning"), stream=True))
    thinking = "".join(e.delta for e in events if e.type == "response.reasoning_summary_text.delta")
    assert thinking.startswith("The user wants")
    final = events[-1]
    assert final.type == "response.completed"
    first = final.response.output[0]
    assert first.type == "reasoning"
    assert [part.text for part in first.summary] == [thinking]
    assert "The user wants" not in final.response.output_text


def test_a_clients_tools(api: Api):
    """They come back as calls; with their outputs the answer goes on, whether the client keeps the items or we do."""
    client = api.openai()
    asked = ask("calls=2", "tools", tools=[WEATHER])
    first = client.responses.create(**asked)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Paris", "Tokyo"]
    outputs = [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"} for call in calls]
    kept = [{"role": "user", "content": asked["input"]}, *(item.to_dict() for item in first.output), *outputs]
    more: dict[str, Any]
    for more in ({"input": kept}, {"input": outputs, "previous_response_id": first.id}):
        raw = client.responses.with_raw_response.create(**(asked | more))
        assert "`rain`" in raw.parse().output_text
        assert "Let me look" not in raw.parse().output_text
        parts = api.run(raw.headers["x-run-id"])["message"]["parts"]
        assert [(p["type"], p.get("state")) for p in parts] == [
            ("text", None), ("tool_call", "done"), ("tool_call", "done"), ("text", None),
        ]  # fmt: skip


def test_a_response_goes_on_from_another(api: Api):
    """In its conversation; and where that went another way since, in a new one with the same beginning."""
    client = api.openai()
    first = client.responses.with_raw_response.create(**ask("n=2"))
    conversation = first.headers["x-conversation-id"]
    before = first.parse().id
    second = client.responses.with_raw_response.create(**ask("n=3", previous_response_id=before))
    assert second.headers["x-conversation-id"] == conversation
    other = client.responses.with_raw_response.create(**ask("n=4", previous_response_id=before))
    assert other.headers["x-conversation-id"] != conversation
    texts = [message["text"] for message in api.conversation(other.headers["x-conversation-id"])]
    assert texts == [f"n=2 {FAST}", "w000001 w000002", f"n=4 {FAST}", "w000001 w000002 w000003 w000004"]
    with pytest.raises(openai.NotFoundError):
        client.responses.create(**ask("n=1", previous_response_id="resp_nobody"))


def test_a_response_is_read_again(api: Api):
    """While it is written, from any event on, and when it has ended: the same response, for whoever has its id."""
    client = api.openai()
    raw = client.responses.with_raw_response.create(
        model="simulator:tour", input="n=120 rate=100 ttft=0", instructions="Be brief.", stream=True
    )
    events = iter(raw.parse())
    first = [next(events) for _ in range(10)]
    response_id = f"resp_{raw.headers['x-run-id']}"
    running = client.responses.retrieve(response_id)
    assert (running.status, running.instructions) == ("in_progress", "Be brief.")
    rest = list(client.responses.retrieve(response_id, stream=True, starting_after=first[-1].sequence_number))
    seen = [*first, *events]
    assert [event.sequence_number for event in rest] == [event.sequence_number for event in seen[10:]]
    pieces = [event.delta for event in rest if event.type == "response.output_text.delta"]
    assert pieces == [event.delta for event in seen[10:] if event.type == "response.output_text.delta"]
    last = seen[-1]
    assert last.type == "response.completed"
    again = client.responses.retrieve(response_id)
    assert (again.status, again.output_text) == ("completed", last.response.output_text)
    # Once the log is gone, nothing says how much of the text the client has: it gets all of it, when it is done.
    api.loop.run(api.world.runs.log.erase([response_id.removeprefix("resp_")]))
    for after in (first[-1].sequence_number, last.sequence_number - 1):
        stored: list[Any] = list(client.responses.retrieve(response_id, stream=True, starting_after=after))
        assert [event.type for event in stored] == [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
        assert [event.sequence_number for event in stored] == list(range(after + 1, after + 5))
        assert stored[0].text == last.response.output_text
        assert stored[-1].response.output_text == last.response.output_text
    whole = list(client.responses.retrieve(response_id, stream=True))
    assert "".join(event.delta for event in whole if event.type == "response.output_text.delta") == again.output_text
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_nobody")


def test_a_response_is_cancelled(api: Api):
    """What came stays; a second time nothing happens."""
    client = api.openai()
    raw = client.responses.with_raw_response.create(
        model="simulator:tour", input="n=100000 rate=200 ttft=0", stream=True
    )
    events = iter(raw.parse())
    while next(events).type != "response.output_text.delta":
        pass
    response_id = f"resp_{raw.headers['x-run-id']}"
    for _ in range(2):
        response = client.responses.cancel(response_id)
        assert response.status == "cancelled"
        assert response.output_text.startswith("w000001")


def test_other_ends(api: Api):
    """The token limit and the content filter leave it incomplete; a refusal is content of its own."""
    client = api.openai()
    cut = client.responses.create(**ask("n=50", max_output_tokens=4))
    assert (cut.status, cut.incomplete_details and cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert len(cut.output_text.split()) == 4
    filtered = list(client.responses.create(**ask("", "content-filter"), stream=True))[-1]
    assert filtered.type == "response.incomplete"
    assert filtered.response.incomplete_details is not None
    assert filtered.response.incomplete_details.reason == "content_filter"
    with client.responses.stream(**ask("", "refusal")) as stream:
        refusal = "".join(event.delta for event in stream if event.type == "response.refusal.delta")
        message = stream.get_final_response().output[0]
    assert message.type == "message"
    assert refusal == "I can't help with that request."
    assert message.content[0].to_dict() == {"type": "refusal", "refusal": refusal}


@pytest.mark.parametrize("stream", [False, True])
def test_what_fails_before_the_first_piece_has_a_status(api: Api, stream: bool):
    """The SDK's own exception, and no run more than the one that failed."""
    for scene, kind in (("rate-limited", openai.RateLimitError), ("context-too-long", openai.BadRequestError)):
        with pytest.raises(kind):
            api.openai().responses.create(**ask("hello", scene), stream=stream)
    assert len(api.http.get("/api/conversations").json()["conversations"]) == 2


@pytest.mark.parametrize("scene", ["overloaded-after", "cut"])
def test_what_breaks_in_the_middle_has_failed(api: Api, scene: str):
    """The stream ends with ``response.failed``, which says why and holds what came; in one piece it is a status."""
    events = list(api.openai().responses.create(**ask("", scene), stream=True))
    last = events[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert last.response.error.message
    assert last.response.status == "failed"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == last.response.output_text != ""
    assert "response.completed" not in {event.type for event in events}
    with pytest.raises(openai.InternalServerError):
        api.openai().responses.create(**ask("", scene))


def test_what_is_stopped_is_not_completed(api: Api):
    """Somebody stops it on the page: the client is told."""
    raw = api.openai().responses.with_raw_response.create(
        model="simulator:tour", input="n=100000 rate=200 ttft=0", stream=True
    )
    events = iter(raw.parse())
    while next(events).type != "response.output_text.delta":
        pass
    assert api.http.delete(f"/api/runs/{raw.headers['x-run-id']}").status_code == 200
    last = list(events)[-1]
    assert last.type == "response.failed"
    assert last.response.status == "cancelled"


def test_pictures_and_formats(api: Api):
    """Pictures and files travel inside; a schema is kept to."""
    client = api.openai()
    content = [
        {"type": "input_text", "text": f"n=1 {FAST}"},
        {
            "type": "input_image",
            "image_url": f"data:image/png;base64,{PICTURE}",
            "detail": "auto",
        },
        {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="},
    ]
    asked: Any = [{"role": "user", "content": content}]
    raw = client.responses.with_raw_response.create(model="simulator:tour", input=asked)
    question = api.conversation(raw.headers["x-conversation-id"])[0]
    assert [part["type"] for part in question["parts"]] == ["text", "image", "file"]
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form: Any = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    assert json.loads(client.responses.create(**ask("x", text=form)).output_text) == {"city": "Paris"}


def test_tools_that_only_the_vendor_runs_are_not_offered(api: Api):
    """Programs declare them beside their own; the model hears of those that the program runs."""
    response = api.openai().responses.create(**ask("calls=2", "tools", tools=[{"type": "web_search"}, WEATHER]))
    assert [item.name for item in response.output if item.type == "function_call"] == ["weather", "weather"]
