"""What people think of answers: stored for their owner, read with the conversation, and exported."""

from __future__ import annotations

import pytest

from streamchat.chat.events import Finished, TextDelta
from streamchat.client import AsyncClient
from streamchat.errors import NotFound
from tests.integration.web.conftest import Api, MakeApi


async def answered(api: Api) -> tuple[str, str]:
    """The id of an answer that has ended, and of its conversation."""
    run_id = await api.said(TextDelta("The answer is four."), Finished("stop"))
    return run_id, (await api.client.get(f"/api/runs/{run_id}")).json()["conversation_id"]


async def test_feedback_is_stored_replaced_and_taken_back(make_api: MakeApi) -> None:
    """It is read with the message and with its conversation, whose version changes with it."""
    async with make_api() as api:
        answer, conversation = await answered(api)
        address = f"/api/messages/{answer}/feedback"
        versions = [(await api.client.get(f"/api/conversations/{conversation}")).headers.get("etag")]
        for body, shown in (
            ({"rating": "up"}, {"rating": "up"}),
            ({"rating": "down", "reason": "  It is five. "}, {"rating": "down", "reason": "It is five."}),
        ):
            assert (await api.client.post(address, json=body)).status_code == 200
            assert (await api.client.get(f"/api/messages/{answer}")).json()["feedback"] == shown
            found = await api.client.get(f"/api/conversations/{conversation}")
            assert found.json()["feedback"] == {answer: shown}
            versions.append(found.headers.get("etag"))
        assert (await api.client.delete(address)).status_code == 200
        assert "feedback" not in (await api.client.get(f"/api/messages/{answer}")).json()
        assert len(set(versions)) == 3


async def test_exports_have_it_and_shared_links_do_not(make_api: MakeApi) -> None:
    """JSON by the id of the answer, Markdown as a line below it; what one thinks is not for others."""
    async with make_api() as api:
        answer, conversation = await answered(api)
        await api.client.post(f"/api/messages/{answer}/feedback", json={"rating": "down", "reason": "Too short"})
        path = f"/api/conversations/{conversation}"
        exported = (await api.client.get(f"{path}/export?format=json")).json()
        assert exported["feedback"] == {answer: {"rating": "down", "reason": "Too short"}}
        assert "*Rated down: Too short*" in (await api.client.get(f"{path}/export?format=markdown")).text
        link = (await api.client.post(f"{path}/share", json={})).json()
        assert "Too short" not in (await api.client.get(f"/api/shares/{link['path'].rsplit('/', 1)[-1]}")).text


@pytest.mark.parametrize("body", [{}, {"rating": "great"}, {"rating": "up", "reason": "x" * 3000}, {"rating": 1}])
async def test_what_is_no_feedback_is_refused(make_api: MakeApi, body: dict[str, object]) -> None:
    """With 422, and nothing is stored."""
    async with make_api() as api:
        answer, _ = await answered(api)
        assert (await api.client.post(f"/api/messages/{answer}/feedback", json=body)).status_code == 422
        assert "feedback" not in (await api.client.get(f"/api/messages/{answer}")).json()


async def test_only_an_answer_that_has_ended_is_rated(make_api: MakeApi) -> None:
    """A question is no answer, and an answer in progress has no end to judge; what does not exist is not found."""
    async with make_api() as api:
        running = await api.start()
        good = {"rating": "up"}
        assert (await api.client.post(f"/api/messages/{running}/feedback", json=good)).status_code == 422
        question = (await api.client.get(f"/api/messages/{running}")).json()["parent_id"]
        assert (await api.client.post("/api/messages/no-such-message/feedback", json=good)).status_code == 404
        assert question == "" or (
            (await api.client.post(f"/api/messages/{question}/feedback", json=good)).status_code == 422
        )
        await api.client.delete(f"/api/runs/{running}")
        await api.world.ended(running)


async def test_the_python_client_rates(make_api: MakeApi) -> None:
    """``rate`` stores and takes back."""
    async with make_api() as api, AsyncClient(api.url) as client:
        answer, conversation = await answered(api)
        await client.rate(answer, "up", reason="Right")
        found = (await api.client.get(f"/api/conversations/{conversation}")).json()["feedback"]
        assert found == {answer: {"rating": "up", "reason": "Right"}}
        await client.rate(answer, None)
        assert (await api.client.get(f"/api/conversations/{conversation}")).json()["feedback"] == {}
        with pytest.raises(NotFound):
            await client.rate("no-such-message", "up")
