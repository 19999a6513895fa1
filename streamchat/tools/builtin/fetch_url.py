"""``fetch_url``: fetches a web page and extracts its readable text.

trafilatura extracts the main text, in a process of its own (``page_text``). Rules: only http and https; only addresses
that the policy allows, checked again at each redirect (``ssrf_guard``); bounded in time, size (after decompression) and
redirects; only text, in a charset that web pages use.
"""

from __future__ import annotations

import asyncio
import json

import httpx2

from streamchat.extraction import ExtractionFailed, extract
from streamchat.tools import guarded_fetch
from streamchat.tools.builtin import page_text
from streamchat.tools.definition import Tool, tool
from streamchat.tools.guarded_fetch import Fetched, reason_of
from streamchat.tools.ssrf_guard import Policy, Resolver, is_public, look_up
from streamchat.tools.values import ToolError

SECONDS = 20.0
MAX_BYTES = 2 * 1024 * 1024
MAX_TEXT = 60_000
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
}
_HTML = ("text/html", "application/xhtml+xml")
_TEXTUAL = ("application/json", "application/xml", "application/javascript", "application/x-ndjson")


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
                page = await guarded_fetch.fetch(
                    url,
                    _check,
                    max_bytes=MAX_BYTES,
                    seconds=SECONDS,
                    headers=_HEADERS,
                    allowed=allowed,
                    resolve=resolve,
                )
        except (TimeoutError, httpx2.TimeoutException):
            raise ToolError("The page did not come in time.") from None
        except httpx2.HTTPError as error:
            raise ToolError(f"The page could not be fetched: {reason_of(error)}.") from None
        return f"{page.url}\n\n{await _readable(page)}"

    return fetch_url


def _check(kind: str) -> None:
    """Raise ``ToolError`` for what is no text."""
    if kind not in (*_HTML, *_TEXTUAL) and not kind.startswith("text/") and not kind.endswith(("+json", "+xml")):
        raise ToolError(f"This is not a page of text but {kind[:80]}.")


async def _readable(page: Fetched) -> str:
    text = (
        await _main_text(page) if page.kind in _HTML else page.body.decode(_charset(page.charset) or "utf-8", "replace")
    )
    if not text.strip():
        return "(The page has no readable text.)"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\n[shortened]"


async def _main_text(page: Fetched) -> str:
    """Extract the text in a process that is killed if it takes too long, or if the call is cancelled."""
    header = json.dumps({"url": str(page.url), "charset": _charset(page.charset)})
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
