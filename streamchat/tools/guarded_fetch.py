"""Fetches from the web what somebody else named: by http and https, and only from addresses that the policy allows.

Knows nothing of tools. Rules: the address is checked again at each redirect (``ssrf_guard``); time, size (after
decompression) and redirects are bounded; no cookies, no user names.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import httpx2

from streamchat.tools.ssrf_guard import GuardedTransport, Policy, Resolver, is_public, look_up
from streamchat.tools.values import ToolError

MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched. ``url``: after redirects. ``kind``: its media type. ``charset``: as the server declares it."""

    url: httpx2.URL
    kind: str
    charset: str | None
    body: bytes


async def fetch(
    address: str,
    check: Callable[[str], None] = lambda kind: None,
    *,
    max_bytes: int,
    seconds: float,
    headers: Mapping[str, str],
    allowed: Policy = is_public,
    resolve: Resolver = look_up,
) -> Fetched:
    """Fetch this address within so many seconds. ``check``: refuses a media type before the body is read.

    Raises ``ToolError``, ``TimeoutError``, and httpx's errors.
    """
    async with asyncio.timeout(seconds):
        return await _fetch(address, check, max_bytes, seconds, headers, GuardedTransport(allowed, resolve))


async def _fetch(
    address: str,
    check: Callable[[str], None],
    max_bytes: int,
    seconds: float,
    headers: Mapping[str, str],
    transport: GuardedTransport,
) -> Fetched:
    url = parse_url(address)
    sent = {**headers, "Accept-Encoding": "gzip"}
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
        for _ in range(MAX_REDIRECTS + 1):
            client.cookies.clear()
            async with client.stream("GET", url, headers=sent, follow_redirects=False, timeout=seconds) as response:
                if response.has_redirect_location:
                    url = parse_url(str(_join_url(url, response.headers["location"])))
                    continue
                if response.status_code >= 300:
                    raise ToolError(
                        f"The server answered {response.status_code} {response.reason_phrase}.".replace(" .", ".")
                    )
                kind = response.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
                check(kind)
                return Fetched(url, kind, response.charset_encoding, await _body(response, max_bytes))
    raise ToolError(f"The page redirects more than {MAX_REDIRECTS} times.")


def reason_of(error: httpx2.HTTPError) -> str:
    """Return an error of httpx in a few words."""
    text = str(error).strip().splitlines()
    return text[0][:200].rstrip(".") if text else type(error).__name__


def parse_url(address: str) -> httpx2.URL:
    """Return an address that may be fetched, if its host may. Raises ``ToolError``."""
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


async def _body(response: httpx2.Response, max_bytes: int) -> bytes:
    """Read the body. Reads and decompresses no more than ``max_bytes``, and raises ``ToolError`` beyond that."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "x-gzip"):
        raise ToolError(f"The page is packed in a way that is not known here ({coding[:40]}).")
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if "gzip" in coding else None
    body = bytearray()
    async with aclosing(response.aiter_raw()) as pieces:
        async for piece in pieces:
            try:
                body += unpack.decompress(piece, max_bytes + 1 - len(body)) if unpack else piece
            except zlib.error:
                raise ToolError("The page is damaged.") from None
            if len(body) > max_bytes:
                raise ToolError(f"The page is larger than {max_bytes // 2**20} MB.")
    return bytes(body)
