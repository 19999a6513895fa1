"""``fetch_url``: fetches a web page and extracts its readable text.

trafilatura extracts the main text, in a process of its own (``page_text``). Rules: only http and https; only addresses
that the policy allows, checked again at each redirect (``ssrf_guard``); bounded in time, size (after decompression) and
redirects; only text, in a charset that web pages use.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from contextlib import aclosing
from dataclasses import dataclass

import httpx2

from streamchat.extraction import ExtractionFailed, extract
from streamchat.tools.builtin import page_text
from streamchat.tools.definition import Tool, tool
from streamchat.tools.ssrf_guard import GuardedTransport, Policy, Resolver, is_public, look_up
from streamchat.tools.values import ToolError

SECONDS = 20.0
MAX_BYTES = 2 * 1024 * 1024
MAX_TEXT = 60_000
MAX_REDIRECTS = 5
EXTRACTION_SECONDS = 10.0
CHARSETS = frozenset(
    """
    utf-8 utf8 us-ascii ascii utf-16 utf-16le utf-16be iso-8859-1 latin-1 latin1 iso-8859-2 iso-8859-3 iso-8859-4
    iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8 iso-8859-9 iso-8859-10 iso-8859-11 iso-8859-13 iso-8859-14
    iso-8859-15 iso-8859-16 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255
    windows-1256 windows-1257 windows-1258 cp1250 cp1251 cp1252 cp866 ibm866 cp949 macintosh koi8-r koi8-u tis-620
    shift-jis sjis euc-jp iso-2022-jp gb2312 gbk gb18030 big5 big5-hkscs euc-kr
    """.split()
)
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
    """Return the tool. ``allowed``: the addresses that it may connect to; ``resolve``: the look-up of host names."""

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
        return f"{page.url}\n\n{await _readable(page)}"

    return fetch_url


async def _fetch(address: str, allowed: Policy, resolve: Resolver) -> _Page:
    url = _parse_url(address)
    async with httpx2.AsyncClient(transport=GuardedTransport(allowed, resolve), trust_env=False) as client:
        for _ in range(MAX_REDIRECTS + 1):
            client.cookies.clear()
            async with client.stream("GET", url, headers=_HEADERS, follow_redirects=False, timeout=SECONDS) as response:
                if response.has_redirect_location:
                    url = _parse_url(str(_join_url(url, response.headers["location"])))
                    continue
                if response.status_code >= 300:
                    raise ToolError(
                        f"The server answered {response.status_code} {response.reason_phrase}.".replace(" .", ".")
                    )
                kind = response.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
                if (
                    kind not in (*_HTML, *_TEXTUAL)
                    and not kind.startswith("text/")
                    and not kind.endswith(("+json", "+xml"))
                ):
                    raise ToolError(f"This is not a page of text but {kind[:80]}.")
                return _Page(url, kind, _charset(response.charset_encoding), await _body(response))
    raise ToolError(f"The page redirects more than {MAX_REDIRECTS} times.")


def _parse_url(address: str) -> httpx2.URL:
    try:
        url = httpx2.URL(address.strip())
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        raise ToolError("This is not an address of a web page.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ToolError("Only addresses with http:// or https:// are fetched.")
    if url.userinfo:
        raise ToolError("Addresses with a user name are not fetched.")
    return url


def _join_url(url: httpx2.URL, location: str) -> httpx2.URL:
    try:
        return url.join(location)
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        raise ToolError("The page redirects to something that is no address.") from None


async def _body(response: httpx2.Response) -> bytes:
    """Read the body. Reads and decompresses no more than ``MAX_BYTES``, and raises ``ToolError`` beyond that."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "x-gzip"):
        raise ToolError(f"The page is packed in a way that is not known here ({coding[:40]}).")
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if "gzip" in coding else None
    body = bytearray()
    async with aclosing(response.aiter_raw()) as pieces:
        async for piece in pieces:
            try:
                body += unpack.decompress(piece, MAX_BYTES + 1 - len(body)) if unpack else piece
            except zlib.error:
                raise ToolError("The page is damaged.") from None
            if len(body) > MAX_BYTES:
                raise ToolError(f"The page is larger than {MAX_BYTES // 2**20} MB.")
    return bytes(body)


async def _readable(page: _Page) -> str:
    text = await _main_text(page) if page.kind in _HTML else page.body.decode(page.charset or "utf-8", "replace")
    if not text.strip():
        return "(The page has no readable text.)"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\n[shortened]"


async def _main_text(page: _Page) -> str:
    """Extract the text in a process that is killed if it takes too long, or if the call is cancelled."""
    header = json.dumps({"url": str(page.url), "charset": page.charset})
    try:
        output = await extract(page_text.__file__, header.encode() + b"\n" + page.body, EXTRACTION_SECONDS)
    except TimeoutError:
        raise ToolError("The page is too complex to extract its text.") from None
    except ExtractionFailed:
        raise ToolError("The text of the page could not be extracted.") from None
    return output.decode()


def _charset(name: str | None) -> str | None:
    """Return the declared charset if it is one of web pages; some codecs of Python take quadratic time."""
    label = (name or "").strip().strip("\"'").lower().replace("_", "-")
    return label if label in CHARSETS else None


def _reason(error: httpx2.HTTPError) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200].rstrip(".") if text else type(error).__name__
