"""What cannot be taken is refused with a status and a sentence, and never breaks the server."""

from __future__ import annotations

import json

import pytest

from tests.integration.web.conftest import Api, shared

JSON = {"Content-Type": "application/json"}


def told(answer) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"message", "kind"}
    assert error["message"].endswith((".", "?"))
    return answer.status_code, error["kind"]


@shared
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"[]", 422),
        (b"null", 422),
        (b'"x"', 422),
        (b"{}", 422),
        (b'{"message": "\xff"}', 400),
        (b"\xef\xbb\xbf{", 400),
        (b'{"message": 7}', 422),
        (b'{"message": ""}', 422),
        (b'{"message": []}', 422),
        (b'{"message": [{"type": "tool_call", "id": "x", "name": "y"}]}', 422),
        (b'{"message": "x", "surprise": 1}', 422),
        (b'{"message": "x", "model": "no:such"}', 404),
        (b'{"message": "x", "conversation_id": "a/../b"}', 422),
        (b'{"message": "x", "conversation_id": "nobodys"}', 404),
        (b'{"message": "x", "client_message_id": "a\\nb"}', 422),
        (b'{"message": "x", "options": {"temperature": NaN}}', 422),
        (b'{"message": "x", "options": {"max_tokens": 1e400}}', 422),
        (b"[" * 100_000, 400),
        (b'{"message": "x", "options": {"schema": ' + b'{"a":' * 600 + b"1" + b"}" * 602, 400),
        (b'{"message": [' + b'{"a": [' * 300 + b"1" + b"]}" * 300 + b"]}", 400),
        (b'{"message": "x", "options": {"max_tokens": ' + b"9" * 5000 + b"}}", 400),
    ],
)
async def test_a_body_that_cannot_be_taken(shared_api: Api, body: bytes, status: int):
    """Broken JSON and bytes are 400, what has another shape 422, what is not there 404."""
    answer = await shared_api.client.post("/api/runs", content=body, headers=JSON)
    assert told(answer)[0] == status, answer.text
    assert shared_api.provider.requests == []


@shared
@pytest.mark.parametrize(
    "body",
    [
        {"message": "x", "a" * 5000: 1},
        {"message": "x", "a\nb\r\u2028c": 1},
        {"message": "x", "options": {"\n".join("abc" * 500): 1}},
        {"message": "x", "client_message_id": "y" * 5000},
        {"message": [{"type": "\n" * 500 + "z" * 5000}]},
        {"message": "x", "model": "m\n" * 5000},
    ],
)
@pytest.mark.parametrize(
    "path", ["/api/runs", "/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat", "/ag-ui"]
)
async def test_a_refusal_quotes_at_most_a_line(shared_api: Api, path: str, body: dict):
    """Whatever names and values the body has."""
    answer = await shared_api.client.post(path, json=body)
    assert 400 <= answer.status_code < 500
    message = answer.json()["error"]["message"]
    assert len(message) < 400
    assert len(message.splitlines()) == 1


async def test_still_being_answered_is_a_conflict(api: Api):
    """409, for a second question and for another try of the answer; in the vendors' shapes too."""
    run_id = await api.start()
    conversation_id = (await api.client.get(f"/api/runs/{run_id}")).json()["conversation_id"]
    more = {"message": "again", "conversation_id": conversation_id}
    assert told(await api.client.post("/api/runs", json=more)) == (409, "still-answering")
    chat = {"model": "fake:one", "messages": [{"role": "user", "content": "again"}], "max_tokens": 9}
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses"):
        body = chat | {"input": "again"}
        answer = await api.client.post(path, json=body, headers={"X-Conversation-Id": conversation_id})
        assert answer.status_code == 409, answer.text
        assert "still being written" in answer.json()["error"]["message"]
    assert len(api.provider.requests) == 1


async def test_a_huge_body_is_refused(api: Api):
    """413, told by its length and while it arrives without one."""
    huge = b'{"message": "' + b"x" * (21 * 1024 * 1024) + b'"}'
    assert told(await api.client.post("/api/runs", content=huge, headers=JSON)) == (413, "too-large")

    async def pieces():
        for at in range(0, len(huge), 1 << 20):
            yield huge[at : at + (1 << 20)]

    assert (await api.client.post("/api/runs", content=pieces(), headers=JSON)).status_code == 413


async def test_halves_of_characters_are_mended(api: Api):
    """A lone surrogate in JSON is replaced, not a crash."""
    answer = await api.client.post("/api/runs", content=b'{"message": "a\\ud83db"}', headers=JSON)
    assert answer.status_code in (201, 422)


@shared
@pytest.mark.parametrize("run_id", ["nothere", "%00", "a%0d%0aX-Evil:%201", "..%2f..", "x" * 5000, "%ff", "run\u2028"])
async def test_an_id_that_is_none_is_not_found(shared_api: Api, run_id: str):
    """Whatever stands for an id: not found, and nothing of it in a header."""
    for method, path in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
        answer = await shared_api.client.request(method, f"/api/runs/{run_id}{path}")
        assert told(answer) == (404, "not-found")
        assert "x-evil" not in answer.headers


async def test_an_unknown_address_and_method_are_told_in_our_shape(api: Api):
    """JSON, not a page."""
    assert told(await api.client.get("/api/nothing")) == (404, "not-found")
    assert told(await api.client.put("/api/runs", json={})) == (405, "wrong-method")
    assert told(await api.client.get("/api/conversations?before=junk")) == (422, "invalid-input")
    assert told(await api.client.get("/api/conversations?limit=0")) == (422, "invalid-input")


async def test_what_was_sent_is_not_sent_back(api: Api):
    """A refusal says what is wrong without repeating the input."""
    body = json.dumps({"message": "x", "options": {"temperature": "SECRET-WORD"}}).encode()
    assert "SECRET-WORD" not in (await api.client.post("/api/runs", content=body, headers=JSON)).text
