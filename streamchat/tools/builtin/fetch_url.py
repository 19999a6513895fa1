"""``fetch_url``: the readable text of a web page.

The main text is trafilatura's choice. Rules: only http and https, only to addresses that the policy allows, at each
redirect anew (``guard``); bounded in time, size (after decompression) and redirects; only text.
"""

from __future__ import annotations

import asyncio
import zlib
from contextlib import aclosing
from dataclasses import dataclass

import httpx2

from streamchat.tools.definition import Tool, tool
from streamchat.tools.guard import GuardedTransport, Policy, Resolver, is_public, look_up
from streamchat.tools.values import ToolError

SECONDS = 20.0
MAX_BYTES = 2 * 1024 * 1024
MAX_TEXT = 60_000
MAX_REDIRECTS = 5
# To find the main text of a page with more takes up to twenty seconds, of a core that the answers share.
MAX_TAGS = 40_000
_HEADERS = {
    "User-Agent": "Mozilla/5.0 (compatible; streamchat)",
    "Accept": "text/html, text/*;q=0.9, application/json;q=0.9, */*;q=0.1",
    "Accept-Encoding": "gzip",
}
_HTML = ("text/html", "application/xhtml+xml")
_TEXTUAL = ("application/json", "application/xml", "application/javascript", "application/x-ndjson")


@dataclass(frozen=True, slots=True)
class _Page:
    url: httpx2.URL
    kind: str
    charset: str | None
    body: bytes


def fetch_url_tool(allowed: Policy = is_public, resolve: Resolver = look_up) -> Tool:
    """``allowed``: which addresses may be connected."""

    @tool(approve=True)
    async def fetch_url(url: str) -> str:
        """Fetch a web page and return its readable text.

        Args:
            url: The full address, with http:// or https://.
        """
        try:
            async with asyncio.timeout(SECONDS):
                page = await _fetch(url, allowed, resolve)
        except (TimeoutError, httpx2.TimeoutException):
            raise ToolError("The page did not come in time.") from None
        except httpx2.HTTPError as error:
            raise ToolError(f"The page could not be fetched: {_reason(error)}.") from None
        return f"{page.url}\n\n{_readable(page)}"

    return fetch_url


async def _fetch(address: str, allowed: Policy, resolve: Resolver) -> _Page:
    url = _checked(address)
    async with httpx2.AsyncClient(transport=GuardedTransport(allowed, resolve), trust_env=False) as client:
        for _ in range(MAX_REDIRECTS + 1):
            client.cookies.clear()
            async with client.stream("GET", url, headers=_HEADERS, follow_redirects=False, timeout=SECONDS) as answer:
                if answer.has_redirect_location:
                    url = _checked(str(_joined(url, answer.headers["location"])))
                    continue
                if answer.status_code >= 300:
                    raise ToolError(
                        f"The server answered {answer.status_code} {answer.reason_phrase}.".replace(" .", ".")
                    )
                kind = answer.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
                if (
                    kind not in (*_HTML, *_TEXTUAL)
                    and not kind.startswith("text/")
                    and not kind.endswith(("+json", "+xml"))
                ):
                    raise ToolError(f"This is not a page of text but {kind[:80]}.")
                return _Page(url, kind, answer.charset_encoding, await _body(answer))
    raise ToolError(f"The page redirects more than {MAX_REDIRECTS} times.")


def _checked(address: str) -> httpx2.URL:
    try:
        url = httpx2.URL(address.strip())
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        raise ToolError("This is not an address of a web page.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ToolError("Only addresses with http:// or https:// are fetched.")
    if url.userinfo:
        raise ToolError("Addresses with a user name are not fetched.")
    return url


def _joined(url: httpx2.URL, location: str) -> httpx2.URL:
    try:
        return url.join(location)
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        raise ToolError("The page redirects to something that is no address.") from None


async def _body(answer: httpx2.Response) -> bytes:
    """At most ``MAX_BYTES``; more of it is not read, and of what is compressed no more is unpacked."""
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "x-gzip"):
        raise ToolError(f"The page is packed in a way that is not known here ({coding[:40]}).")
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if "gzip" in coding else None
    body = bytearray()
    async with aclosing(answer.aiter_raw()) as pieces:
        async for piece in pieces:
            try:
                body += unpack.decompress(piece, MAX_BYTES + 1 - len(body)) if unpack else piece
            except zlib.error:
                raise ToolError("The page is damaged.") from None
            if len(body) > MAX_BYTES:
                raise ToolError(f"The page is larger than {MAX_BYTES // 2**20} MB.")
    return bytes(body)


def _readable(page: _Page) -> str:
    text = _main_text(page) if page.kind in _HTML else _decoded(page)
    if not text or not text.strip():
        return "(The page has no readable text.)"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\n[shortened]"


def _main_text(page: _Page) -> str | None:
    import trafilatura  # half a second, which only those pay who fetch

    html = _decoded(page) if page.charset else trafilatura.utils.decode_file(page.body)
    if "<html" not in html[:10_000].lower():  # a piece of a page, which would not be taken for one
        html = f"<html><body>{html}</body></html>"
    found = None
    if html.count("<") <= MAX_TAGS:
        found = trafilatura.extract(html, url=str(page.url), output_format="markdown", include_links=True)
    return found or trafilatura.html2txt(html)


def _decoded(page: _Page) -> str:
    try:
        return page.body.decode(page.charset or "utf-8", "replace")
    except LookupError:
        return page.body.decode("utf-8", "replace")


def _reason(error: httpx2.HTTPError) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200].rstrip(".") if text else type(error).__name__
