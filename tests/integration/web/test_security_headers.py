"""Security headers: a policy for every HTML response, made from the built page, and nothing looser beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from streamchat.web.security_headers import SecurityHeaders, script_hashes
from tests.integration.web.conftest import Api

THEME = "\nif (a < b) { document.documentElement.classList.add('dark') }\n"
MODULE = 'import "/assets/a.js";'
PAGE = f"""<!DOCTYPE html><html><head><script>{THEME}</script><script src="/x.js"></script>
<SCRIPT type="module" async="">{MODULE}</SCRIPT ></head><body>hi</body></html>"""


def source(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def directives(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (part.split() for part in policy.split(";"))}


@asynccontextmanager
async def client_of(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    async def own(_: object) -> Response:
        return HTMLResponse("x", headers={"Content-Security-Policy": "default-src 'self'", "Referrer-Policy": "origin"})

    async def page(_: object) -> Response:
        return HTMLResponse((folder / "index.html").read_bytes())

    async def text(_: object) -> Response:
        return PlainTextResponse("x")

    app = Starlette(routes=[Route("/", page), Route("/own", own), Route("/text", text)])
    transport = httpx.ASGITransport(SecurityHeaders(app, folder))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(PAGE)
    return tmp_path


async def test_only_the_scripts_of_the_page_may_run(folder: Path) -> None:
    """Each inline script by its hash, no other inline script, and none that is evaluated."""
    async with client_of(folder) as client:
        headers = (await client.get("/")).headers
    policy = directives(headers["content-security-policy"])
    assert policy["script-src"] == ["'self'", source(THEME), source(MODULE)]
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == ["'none'"]
    assert policy["connect-src"] == ["'self'", "ws://localhost:3000", "wss://localhost:3000"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


async def test_a_page_that_is_built_again_has_new_hashes(folder: Path) -> None:
    """Under `reflex run --env prod` the page is built while the server is there already."""
    async with client_of(folder) as client:
        await client.get("/")
        (folder / "index.html").write_text("<script>alert(2)</script> and more")
        policy = (await client.get("/")).headers["content-security-policy"]
    assert source("alert(2)") in policy
    assert source(THEME) not in policy


async def test_a_page_before_it_is_built(tmp_path: Path) -> None:
    """Nothing inline may run."""
    async with client_of(tmp_path) as client:
        policy = directives((await client.get("/own")).headers["content-security-policy"])
        assert policy == {"default-src": ["'self'"]}  # its own


async def test_headers_that_are_there_are_kept(folder: Path) -> None:
    """A response may be stricter; other kinds of content get no policy, but are never sniffed."""
    async with client_of(folder) as client:
        own, text = (await client.get("/own")).headers, (await client.get("/text")).headers
    assert own["referrer-policy"] == "origin"
    assert own["x-frame-options"] == "DENY"
    assert text["x-content-type-options"] == "nosniff"
    assert "content-security-policy" not in text


@pytest.mark.parametrize("host", ["evil.example; script-src *", "a b", "x'y"])
async def test_a_host_adds_nothing_to_the_policy(folder: Path, host: str) -> None:
    """Whatever a client sends as its host, it is no part of the policy unless it is a plain name."""
    async with client_of(folder) as client:
        policy = (await client.get("/", headers={"Host": host})).headers["content-security-policy"]
    assert directives(policy)["connect-src"] == ["'self'"]


def test_hashes_are_of_every_document_and_unique() -> None:
    """Several HTML files share most of their scripts; one with an address has none."""
    one, two = b"<script>a</script><script id='x'>b\n</script>", b"<script>a</script><script src=/x></script>"
    assert script_hashes([one, two]) == (source("a"), source("b\n"))


async def test_the_whole_app_has_them(api: Api) -> None:
    """The status page, and what is no page: errors, the API, a refused name."""
    page = await api.client.get("/status")
    policy = directives(page.headers["content-security-policy"])
    assert policy["script-src"] == ["'self'"]
    assert f"ws://127.0.0.1:{api.port}" in policy["connect-src"]
    for path, host in (("/api/conversations", None), ("/nowhere", None), ("/api/runs/x", None), ("/", "evil.example")):
        answer = await api.client.get(path, headers={"Host": host} if host else None)
        assert answer.headers["x-content-type-options"] == "nosniff", path
