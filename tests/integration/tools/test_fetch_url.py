"""Fetching a page: only what everybody may reach, at every hop, and no more than a page."""

from __future__ import annotations

import asyncio
import gzip
import os
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from streamchat.chat.events import ToolResult
from streamchat.tools.builtin import fetch_url, page_text
from streamchat.tools.builtin.fetch_url import MAX_BYTES, MAX_TEXT, fetch_url_tool
from streamchat.tools.guarded_fetch import MAX_REDIRECTS
from streamchat.tools.ssrf_guard import Address, is_public
from streamchat.tools.thread import stuck
from tests.integration.tools.web import Web, page, redirect, web_server
from tests.support.long import LONG
from tests.unit.tools.running import result_of

ARTICLE = f"""<html><head><title>T</title><script>alert(1)</script></head><body><nav><a href="/">Home</a></nav>
<article><h1>Tides</h1><p>{"The moon pulls the water. " * 20}</p>
<p>See <a href="/more">more</a> about <b>tides</b>.</p></article></body></html>"""


def only_loopback(address: Address) -> bool:
    """The policy of these tests: the server that they run, and nothing else."""
    return str(address) == "127.0.0.1"


async def fetch(url: str, allowed=only_loopback, **more) -> ToolResult:
    return await result_of(fetch_url_tool(allowed, **more), {"url": url})


async def refused(url: str, allowed=is_public, **more) -> str:
    result = await fetch(url, allowed, **more)
    assert (result.state, result.result) == ("error", None)
    assert result.error
    assert "\n" not in result.error
    return result.error


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with web_server() as served:
        yield served


async def test_the_readable_text_of_a_page(web: Web) -> None:
    """What the page is about, without its navigation and scripts; where it came from is said first."""
    web.answers["/"] = page(ARTICLE)
    text = (await fetch(web.url("/"))).result
    assert text.startswith(web.url("/"))
    assert "# Tides" in text
    assert "The moon pulls the water." in text
    assert "**tides**" in text
    assert "alert" not in text
    assert "cookie" not in web.asked[0].lower()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (page("<p>hi</p>", "text/html"), "hi"),
        (page("a < b", "text/plain"), "a < b"),
        (page('{"a": 1}', "application/json"), '{"a": 1}'),
        (page("<a/>", "application/atom+xml"), "<a/>"),
        (page("Größe".encode("latin-1"), "text/plain; charset=latin-1"), "Größe"),
        (page("Größe".encode("latin-1"), "text/plain; charset=nonsense"), "Gr\ufffd\ufffde"),
        (page("", "text/html"), "(The page has no readable text.)"),
        (page("<html><body></body></html>", "text/html"), "(The page has no readable text.)"),
        (page(gzip.compress(b"packed"), "text/plain", "200 OK", "Content-Encoding: gzip"), "packed"),
    ],
)
async def test_other_texts_come_as_they_are(web: Web, answer: bytes, expected: str) -> None:
    """Small pages, plain text, JSON, odd encodings."""
    web.answers["/"] = answer
    assert (await fetch(web.url("/"))).result.partition("\n\n")[2] == expected


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "localhost.", "LOCALHOST", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1",
        "127.1", "0",
        "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]",
        "[::7f00:1]",
        "10.0.0.1", "169.254.169.254", "100.64.0.1", "192.168.0.1", "[fe80::1]", "[fd00::1]", "224.0.0.1",
        "１２７.0.0.1", "127。0。0。1", "ⓛocalhost",
    ],
)  # fmt: skip
async def test_no_way_to_write_it_gets_in(web: Web, host: str) -> None:
    """However the address of this machine or of its network is written, nothing is connected."""
    await refused(web.url("/", host))
    assert web.asked == []


@pytest.mark.parametrize(
    "to", ["http://127.0.0.2:{port}/secret", "//127.0.0.2:{port}/secret", "http://localhost.:{port}/secret"]
)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_checked_like_the_first_address(web: Web, to: str, status: str) -> None:
    """Each hop is a look-up, a check and a connection of its own."""

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "front.example" else ["127.0.0.2"]

    web.answers["/"] = redirect(to.format(port=web.port), status)
    web.answers["/secret"] = page("secret")
    told = await refused(web.url("/", "front.example"), only_loopback, resolve=resolve)
    assert "not a public address" in told
    assert len(web.asked) == 1


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "gopher://x/", "http://user@127.0.0.1/", "http://[", "http://\x01"]
)
async def test_a_redirect_to_something_else_is_refused(web: Web, to: str) -> None:
    """Also to another scheme, or to nothing."""
    web.answers["/"] = redirect(to)
    await refused(web.url("/"), only_loopback)


async def test_redirects_that_are_fine_are_followed(web: Web) -> None:
    """Relative ones too; where the page was found in the end is told."""
    web.answers |= {"/a": redirect("/b"), "/b": redirect(web.url("/c")), "/c": page("there", "text/plain")}
    assert (await fetch(web.url("/a"))).result == f"{web.url('/c')}\n\nthere"


async def test_redirects_end(web: Web) -> None:
    """A circle is left after a few rounds."""
    web.answers["/"] = redirect("/")
    assert "redirects more than" in await refused(web.url("/"), only_loopback)
    assert len(web.asked) == MAX_REDIRECTS + 1


async def test_a_name_that_changes_its_address_is_asked_once(web: Web) -> None:
    """A name server that first shows a public address and then a private one: what was checked is what is connected."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    web.answers["/"] = page("public", "text/plain")
    assert (await fetch(web.url("/", "rebind.example"), only_loopback, resolve=rebinding)).state == "done"
    assert asked == ["rebind.example"]
    assert "Host: rebind.example" in web.asked[0]

    # The same name in a redirect is a new connection: looked up and checked anew, and now refused.
    asked.clear()
    web.answers["/"] = redirect(web.url("/secret", "rebind.example"))
    web.answers["/secret"] = page("secret", "text/plain")
    await refused(web.url("/", "rebind.example"), only_loopback, resolve=rebinding)
    assert [head.split(" ")[1] for head in web.asked] == ["/", "/"]


async def test_one_bad_address_among_good_ones_refuses_the_name(web: Web) -> None:
    """A name with a public and a private address is not what it seems."""

    async def both(host: str, port: int) -> list[str]:
        return ["127.0.0.1", "10.0.0.1"]

    await refused(web.url("/", "mixed.example"), only_loopback, resolve=both)
    assert web.asked == []


async def test_a_proxy_in_the_environment_is_not_used(web: Web, monkeypatch) -> None:
    """It would connect for us, past the check."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, web.url(""))
    await refused("http://10.0.0.1/")
    assert web.asked == []


# How much


async def test_a_page_that_is_too_large_is_not_read(web: Web) -> None:
    """Reading stops at the limit."""
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while sent < 100 * MAX_BYTES:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    web.answers["/"] = endless
    assert "larger than 2 MB" in await refused(web.url("/"), only_loopback)
    assert sent < 50 * MAX_BYTES


async def test_a_bomb_is_not_unpacked(web: Web) -> None:
    """A few kilobytes that unpack to a gigabyte cost no more than a page."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b"\0" * 2**20) for _ in range(512)) + packer.flush()
    assert len(bomb) < MAX_BYTES
    web.answers["/"] = page(bomb, "text/plain", "200 OK", "Content-Encoding: gzip")
    tracemalloc.start()
    try:
        assert "larger than 2 MB" in await refused(web.url("/"), only_loopback)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * MAX_BYTES


async def test_a_server_that_says_nothing_is_left(web: Web, monkeypatch) -> None:
    """After the limit of time, also where it drips."""

    async def drips(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        for _ in range(600):
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.05)

    monkeypatch.setattr(fetch_url, "SECONDS", 0.5)
    web.answers["/"] = drips
    began = time.monotonic()
    assert "in time" in await refused(web.url("/"), only_loopback)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (page(b"\x89PNG", "image/png"), "image/png"),
        (page(b"x", "application/octet-stream"), "octet-stream"),
        (page("x", "text/html", "404 Not Found"), "404 Not Found"),
        (page("x", "text/html", "302 Found"), "302 Found"),  # without saying where
        (page("x", "text/html", "500 Oh"), "500"),
        (page("x", "text/plain", "200 OK", "Content-Encoding: br"), "packed"),
        (page("not gzip", "text/plain", "200 OK", "Content-Encoding: gzip"), "damaged"),
        (b"garbage\r\n\r\n", "could not be fetched"),
        (b"", "could not be fetched"),
    ],
)
async def test_what_is_no_page_is_said(web: Web, answer: bytes, told: str) -> None:
    """Pictures, errors, unknown or broken packing, servers that speak nonsense."""
    web.answers["/"] = answer
    assert told in await refused(web.url("/"), only_loopback)


async def test_a_long_text_is_shortened(web: Web) -> None:
    """And says so."""
    web.answers["/"] = page("x" * (MAX_TEXT + 5), "text/plain")
    text = (await fetch(web.url("/"))).result
    assert text.endswith("x\n[shortened]")


async def test_a_page_of_a_hundred_thousand_tags_is_no_work(web: Web) -> None:
    """Its text comes without a search for what matters in it, which would take half a minute."""
    web.answers["/"] = page(f"<html><body>{'<span>a</span> ' * 100_000}</body></html>")
    used = time.process_time()
    assert (await fetch(web.url("/"))).state == "done"
    assert time.process_time() - used < 10


CODECS = ["punycode", "idna", "utf-7", "unicode_escape", "raw-unicode-escape", "rot13", "base64", "zip", "undefined"]


# One name for all is looked up for a page too: its text is made by another program, which takes half a second.
@pytest.mark.parametrize(
    ("kind", "charset"),
    [
        *(("text/plain", charset) for charset in [*CODECS, "UTF-8", "Utf_8", "'utf-8'"]),
        *(("text/html", charset) for charset in (CODECS if LONG else ["undefined"])),
    ],
)
async def test_only_charsets_of_web_pages_are_known(web: Web, charset: str, kind: str) -> None:
    """Another codec of Python may take hours for a page: such a name counts as none."""
    text = "a+AGE- \\u0041 münchen-3ya"
    web.answers["/"] = page(f"<p>{text}</p>" if kind == "text/html" else text, f"{kind}; charset={charset}")
    result = (await fetch(web.url("/"))).result.partition("\n\n")[2]
    assert result.replace("\\\\", "\\") == text


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put another program in the place of the extraction; it notes its process id and its environment first."""

    def put(program: str) -> Path:
        script, note = tmp_path / "script.py", tmp_path / "note"
        note_down = f"import os\nopen({str(note)!r}, 'w').write(f'{{os.getpid()}} {{sorted(os.environ)}}')\n"
        script.write_text(note_down + program)
        monkeypatch.setattr(page_text, "__file__", str(script))
        return note

    return put


def is_running(note: Path) -> bool:
    try:
        os.kill(int(note.read_text().partition(" ")[0]), 0)
    except ProcessLookupError:
        return False
    return True


async def test_an_extraction_that_does_not_end_is_killed(web: Web, stand_in, monkeypatch) -> None:
    """It is another process, which holds no lock of this one; nothing secret is in its environment."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setattr(fetch_url, "EXTRACTION_SECONDS", 1.0)
    note = stand_in("while True: pass")
    web.answers["/"] = page(ARTICLE)
    assert "too complex" in await refused(web.url("/"), only_loopback)
    assert not is_running(note)
    assert "KEY" not in note.read_text()


async def test_stop_ends_the_extraction(web: Web, stand_in) -> None:
    """The call is cancelled, and its process is gone."""
    note = stand_in("import time\ntime.sleep(600)")
    web.answers["/"] = page(ARTICLE)
    call = asyncio.create_task(fetch(web.url("/")))
    while not (note.exists() and note.read_text()):
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    while stuck():
        await asyncio.sleep(0.01)
    assert not is_running(note)


@pytest.mark.parametrize("program", ["raise SystemExit(3)", "os.kill(os.getpid(), 9)", "import nothing_like_this"])
async def test_an_extraction_that_fails_is_an_error(web: Web, stand_in, program: str) -> None:
    stand_in(program)
    web.answers["/"] = page(ARTICLE)
    assert "could not be extracted" in await refused(web.url("/"), only_loopback)


async def test_a_host_that_does_not_exist_is_a_sentence() -> None:
    """Nothing of the client's inside is told."""

    async def nobody(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    assert await refused("http://nowhere.example/", resolve=nobody) == (
        "The page could not be fetched: there is no host nowhere.example."
    )
