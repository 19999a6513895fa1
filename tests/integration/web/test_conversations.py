"""Conversations over HTTP: the list, one of them, its export, and search."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamchat.chat.events import Finished, Interrupted, ReasoningDelta, TextDelta, ToolCallStarted
from streamchat.chat.fold import fold
from streamchat.chat.messages import FilePart, Message, ReasoningPart, TextPart
from streamchat.watchdog import Pauses, Watchdog
from streamchat.web.export import as_markdown, file_headers
from tests.integration.web.conftest import Api, MakeApi


async def test_the_list_is_paged_newest_first(api: Api):
    """Every conversation once, newest first, whatever the size of the page."""
    runs = [await api.said(TextDelta("x"), Finished()) for _ in range(5)]
    ids = [(await api.client.get(f"/api/runs/{run}")).json()["conversation_id"] for run in reversed(runs)]
    for limit in (1, 2, 5, 50):
        seen, before = [], None
        while True:
            asked = {"limit": limit} | ({"before": before} if before else {})
            page = (await api.client.get("/api/conversations", params=asked)).json()
            assert len(page["conversations"]) <= limit
            seen += [row["id"] for row in page["conversations"]]
            if (before := page["next"]) is None:
                break
        assert seen == ids


async def test_a_conversation_has_its_branch(api: Api):
    """Question and answer in their public form: no opaque data of a provider."""
    run_id = await api.said(ReasoningDelta("hm", {"signature": "SECRET"}), TextDelta("yes"), Finished())
    where = (await api.client.get(f"/api/runs/{run_id}")).json()["conversation_id"]
    answer = await api.client.get(f"/api/conversations/{where}")
    assert [(m["role"], m["text"]) for m in answer.json()["messages"]] == [("user", "hello"), ("assistant", "yes")]
    assert "SECRET" not in answer.text
    assert (await api.client.get("/api/conversations/nothere")).status_code == 404


async def test_an_export_is_a_file_without_reasoning(api: Api):
    """Markdown has question and answer and not the reasoning; JSON is what the API says; both are attachments."""
    run_id = await api.said(ReasoningDelta("SECRETLY"), TextDelta("# yes"), ToolCallStarted("c", "plot"), Finished())
    where = (await api.client.get(f"/api/runs/{run_id}")).json()["conversation_id"]
    markdown = await api.client.get(f"/api/conversations/{where}/export", params={"format": "markdown"})
    assert markdown.headers["content-type"].startswith("text/markdown")
    assert markdown.headers["content-disposition"].startswith("attachment;")
    assert markdown.headers["x-content-type-options"] == "nosniff"
    assert "hello" in markdown.text
    assert "# yes" in markdown.text
    assert "SECRETLY" not in markdown.text
    exported = await api.client.get(f"/api/conversations/{where}/export", params={"format": "json"})
    assert exported.json() == (await api.client.get(f"/api/conversations/{where}")).json()
    assert (await api.client.get(f"/api/conversations/{where}/export?format=html")).status_code == 422


async def test_search_finds_what_was_said(api: Api):
    """By words, in questions and answers; odd characters find nothing and break nothing."""
    run_id = await api.said(TextDelta("The heron stands still."), Finished())
    hits = (await api.client.get("/api/search", params={"q": "heron"})).json()["hits"]
    assert [hit["message_id"] for hit in hits] == [run_id]
    for odd in ("' OR 1=1 --", '"', "%_%", "NEAR(", "a" * 1000, "\x00", "🦩", "* AND"):
        assert (await api.client.get("/api/search", params={"q": odd})).status_code in (200, 422), odd
    for bad in ({}, {"q": ""}, {"q": "x", "limit": 0}, {"q": "x", "before": "junk"}):
        assert (await api.client.get("/api/search", params=bad)).status_code == 422, bad


@given(st.text())
def test_a_title_is_no_danger_in_a_header(title: str):
    """Whatever the title: one line, an attachment, a name without a path, in ASCII."""
    said = file_headers(title, "md")["Content-Disposition"]
    assert said.isascii()
    assert said.isprintable()
    match = re.fullmatch(r"attachment; filename=\"([\w .-]+)\"; filename\*=UTF-8''([\w.%~-]+)", said, re.ASCII)
    assert match
    assert match[1].endswith(".md")
    assert not match[1].startswith(".")


def test_an_export_says_what_is_not_complete():
    """Interrupted, stopped and running answers do not read as complete; a fence holds whatever a file has in it."""
    cut = Message("m", "assistant", (TextPart("Half"),), status="streaming")
    assert "still being written" in as_markdown("t", [cut])
    assert "cut off" in as_markdown("t", [fold(cut, Interrupted())])
    text = as_markdown("a\nb", [Message("m", "user", (FilePart("x.md", "```\ncode\n```"), ReasoningPart("SECRET")))])
    assert "````" in text
    assert text.startswith("# a b\n")
    assert "SECRET" not in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_told(api: Api, path: str):
    """200 while it serves."""
    assert (await api.client.get(path)).json() == {"status": "ok"}


async def test_pauses_of_the_process_are_told(make_api: MakeApi):
    """As the watchdog of the services counts them, in milliseconds."""
    watchdog = Watchdog()
    async with make_api(watchdog=watchdog) as api:
        assert (await api.client.get("/api/status/loop")).json() == {"count": 0, "longest_ms": 0, "total_ms": 0}
        watchdog.pauses = Pauses(3, 0.1234, 0.3)
        assert (await api.client.get("/api/status/loop")).json() == {"count": 3, "longest_ms": 123, "total_ms": 300}


async def test_a_server_whose_database_is_gone_is_not_ready(api: Api, tmp_path: Path):
    """``/readyz`` is 503 with a sentence and ``Retry-After``; ``/healthz`` is still 200."""
    await api.world.writer.close()
    await api.world.store.close()
    for file in tmp_path.glob("chat.db*"):  # noqa: ASYNC240 the loop is this test alone
        file.unlink()
    (tmp_path / "chat.db").mkdir()
    answer = await api.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["error"]["kind"] == "storage"
    assert int(answer.headers["retry-after"]) > 0
    assert (await api.client.get("/healthz")).status_code == 200


async def test_a_run_may_begin_a_branch(api: Api):
    """``parent_id`` is the message after which the question comes, ``""`` the beginning; the provider gets that branch
    alone, and it is the active one then."""

    async def answered(message: str, **more: str) -> dict[str, str]:
        body = (await api.client.post("/api/runs", json={"message": message, **more})).json()
        api.provider.say(TextDelta(f"re {message}"), Finished())
        await api.world.ended(body["run_id"])
        return body

    first = await answered("one")
    await answered("two", conversation_id=first["conversation_id"])
    branch = await answered("zwo", parent_id=first["message_id"])
    assert branch["conversation_id"] == first["conversation_id"]
    assert [m.text for m in api.provider.requests[-1].messages] == ["one", "re one", "zwo"]
    root = await answered("uno", conversation_id=first["conversation_id"], parent_id="")
    assert [m.text for m in api.provider.requests[-1].messages] == ["uno"]
    shown = (await api.client.get(f"/api/conversations/{first['conversation_id']}")).json()["messages"]
    assert [m["text"] for m in shown] == ["uno", "re uno"]
    assert shown[-1]["id"] == root["message_id"]


@pytest.mark.parametrize(("parent", "status"), [("unknown", 404), ("no id", 422), ("x" * 65, 422), (7, 422)])
async def test_a_parent_that_is_not_there(api: Api, parent: object, status: int):
    """An id that nobody has is not found, what is none is refused; no run begins."""
    answer = await api.client.post("/api/runs", json={"message": "hi", "parent_id": parent})
    assert answer.status_code == status, answer.text
    assert (await api.client.get("/api/conversations")).json()["conversations"] == []


async def test_no_search_for_a_model_without_one(api: Api):
    """Asking for the vendor's web search is refused with a reason; switching it off is not."""
    body = {"message": "hi", "options": {"web_search": True}}
    answer = await api.client.post("/api/runs", json=body)
    assert answer.status_code == 422
    assert "web search" in answer.json()["error"]["message"]
    run_id = await api.said(Finished())
    where = (await api.client.get(f"/api/runs/{run_id}")).json()["conversation_id"]
    path = f"/api/conversations/{where}"
    assert (await api.client.patch(path, json={"options": {"web_search": True}})).status_code == 422
    off = await api.client.patch(path, json={"options": {"web_search": False}})
    assert off.json()["options"] == {"web_search": False}
