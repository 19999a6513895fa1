"""Answers that have ended may be kept: by their owner's browser, and what a link shows by every proxy. So may the
page's code."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from devservers.ports import free_port
from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.sse import SSEDecoder
from streamchat.web.page_caching import with_caching
from tests.integration.web.conftest import Api

CONFIG = """
{user} daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/temp; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  proxy_cache_path {folder}/cache keys_zone=answers:1m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{origin};
      proxy_set_header Host $http_host;
      proxy_cache answers;
      add_header X-Cache $upstream_cache_status always;
    }}
  }}
}}
"""


async def shared(api: Api) -> tuple[str, str]:
    """A link to a conversation with an answer. Returns the link's id and the answer's."""
    run_id = await api.said(TextDelta("hello "), TextDelta("there"), Finished())
    where = (await api.client.get(f"/api/runs/{run_id}")).json()["conversation_id"]
    share_id = (await api.client.post(f"/api/conversations/{where}/share", json={})).json()["share_id"]
    return share_id, run_id


async def test_an_answer_that_ended_may_be_kept_by_its_owner_alone(api: Api):
    """While it is written nobody keeps it; afterwards its owner's browser may, and asks by its ETag."""
    run_id = await api.start()
    api.provider.say(TextDelta("hello"))
    path = f"/api/runs/{run_id}"
    assert (await api.client.get(path)).headers["cache-control"] == "no-store"
    api.provider.say(Finished())
    await api.world.ended(run_id)
    for address in (path, f"{path}/events", f"{path}/events?after=1", f"{path}/events?buffer=1"):
        answer = await api.client.get(address)
        assert answer.headers["cache-control"] == "private, max-age=86400, immutable"
        assert {"Cookie", "Authorization"} <= set(answer.headers["vary"].split(", "))
        again = await api.client.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = await api.client.get(address, headers={"If-None-Match": '"other"'})
        assert other.status_code == 200
    # A reader that comes back with its last event is no cache.
    last = {"Last-Event-ID": "1"}
    assert "etag" not in (await api.client.get(f"{path}/events", headers=last)).headers


async def test_what_a_link_shows_may_be_kept_by_everybody(api: Api):
    """Its messages, and each of its answers, whole or as events: for a minute, so that a link can be taken back."""
    share_id, run_id = await shared(api)
    for path in ("", f"/runs/{run_id}", f"/runs/{run_id}/events", f"/runs/{run_id}/events?after=1"):
        answer = await api.client.get(f"/api/shares/{share_id}{path}")
        assert answer.status_code == 200, answer.text
        assert "hello there" in answer.text
        assert answer.headers["cache-control"] == "public, max-age=60"
        again = await api.client.get(f"/api/shares/{share_id}{path}", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
    events = await api.events(f"/api/shares/{share_id}/runs/{run_id}/events")
    assert [event.event for event in events] == ["snapshot", "finished", "message"]
    assert json.loads(events[0].data)["message"]["text"] == "hello there"
    done = {"Last-Event-ID": events[1].id}
    assert (await api.client.get(f"/api/shares/{share_id}/runs/{run_id}/events", headers=done)).status_code == 204


async def test_a_link_shows_its_own_answers_only(api: Api):
    """Neither another conversation's, nor one that came after it, nor any after it was taken back."""
    share_id, run_id = await shared(api)
    where = (await api.client.get(f"/api/runs/{run_id}")).json()["conversation_id"]
    other = await api.said(TextDelta("secret"), Finished())
    later = (await api.client.post("/api/runs", json={"message": "x", "conversation_id": where})).json()["run_id"]
    api.provider.say(TextDelta("later"), Finished())
    await api.world.ended(later)
    for hidden in (other, later, "none", "a" * 64):
        for path in ("", "/events"):
            answer = await api.client.get(f"/api/shares/{share_id}/runs/{hidden}{path}")
            assert answer.status_code == 404, answer.text
    await api.client.delete(f"/api/conversations/{where}/share")
    assert (await api.client.get(f"/api/shares/{share_id}/runs/{run_id}")).status_code == 404


@asynccontextmanager
async def cdn(folder: Path, origin: int) -> AsyncIterator[httpx.AsyncClient]:
    """A real nginx that caches what the responses allow. Skips the test without one."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("needs nginx")
    port = free_port()
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # its own user could not write here
    config.write_text(CONFIG.format(folder=folder, port=port, origin=origin, user=user))
    process = await asyncio.create_subprocess_exec(program, "-p", str(folder), "-e", "stderr", "-c", str(config))
    try:
        headers = {"Host": f"127.0.0.1:{origin}"}
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, verify=False)
        async with client:
            async with asyncio.timeout(30):
                while True:
                    try:
                        await client.get("/healthz")
                        break
                    except httpx.ConnectError:
                        await asyncio.sleep(0.05)
            yield client
    finally:
        process.terminate()
        await process.wait()


async def test_a_reader_catches_up_from_a_cdn(api: Api, tmp_path: Path):
    """What a link shows comes from the cache the second time, and is the same; a person's own answers never do."""
    share_id, run_id = await shared(api)
    folder = tmp_path / "cdn"
    folder.mkdir()
    async with cdn(folder, api.port) as client:
        for path in (f"/api/shares/{share_id}", f"/api/shares/{share_id}/runs/{run_id}/events"):
            first, second = await client.get(path), await client.get(path)
            assert [one.headers["x-cache"] for one in (first, second)] == ["MISS", "HIT"]
            assert first.content == second.content
        decoder = SSEDecoder()
        events = decoder.feed(second.content)
        assert json.loads(events[0].data)["message"]["text"] == "hello there"
        for path in (f"/api/runs/{run_id}", f"/api/runs/{run_id}/events", "/api/conversations"):
            for _ in range(2):
                answer = await client.get(path)
                assert answer.status_code == 200
                assert answer.headers["x-cache"] == "MISS"
        # A cache holds nothing back: the answer that is being written is followed through it.
        running = await api.start()
        async with client.stream("GET", f"/api/runs/{running}/events", timeout=60) as stream:
            assert stream.headers["x-cache"] == "MISS"
            api.provider.say(TextDelta("now"), Finished())
            assert "now" in (await stream.aread()).decode()


async def test_files_of_the_page_say_how_long_they_may_be_kept() -> None:
    """Code has its content in its name; a document is asked for each time, also one for a name that is not there."""

    async def page(request: Request) -> Response:
        if request.url.path == "/own":
            return Response("x", headers={"Cache-Control": "no-store"})
        kind = "text/javascript" if request.url.path == "/assets/there-1a2b.js" else "text/html"
        return Response("x", 404 if "missing" in request.url.path else 200, media_type=kind)

    app = with_caching(Starlette(routes=[Route("/{path:path}", page)]))
    kept = {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:3000") as client:
        for path in (
            "/",
            "/c/abc",
            "/favicon.svg",
            "/own",
            "/assets/there-1a2b.js",
            "/assets/old.js",
            "/assets/missing",
        ):
            kept[path] = (await client.get(path)).headers["cache-control"]
    code = kept.pop("/assets/there-1a2b.js")
    assert code == "public, max-age=604800"
    assert kept.pop("/own") == "no-store"
    assert set(kept.values()) == {"no-cache"}
