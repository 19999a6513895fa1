"""``streamchat deploy check URL``: tests a deployment from outside, as a browser and a stranger would meet it.

Knows only the address. It sends a few requests, starts no answer and changes nothing. Rules:

* Every check has a time limit, and its failure says what to change.
* Nothing is trusted that the proxy could have added: what is tested is what arrives.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Coroutine
from urllib.parse import urlsplit

import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from streamchat.errors import StreamchatError
from streamchat.findings import Finding, print_findings

CHECK_SECONDS = 15.0
FOREIGN = "https://foreign.invalid"
# A certificate that ends sooner is reported. Days.
SOON = 14
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _Failed(Exception):
    """The result of a check that found a fault."""


def main(url: str, *, idle: float = 0, as_json: bool = False) -> int:
    """Print the findings. ``idle``: seconds of silence to test, 0 for none. Returns the exit code.

    Raises ``StreamchatError`` if ``url`` is not an address.
    """
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StreamchatError(f"{url} is not an address such as https://chat.example.", kind="invalid-input")
    return print_findings(asyncio.run(_Deployment(parts.geturl().rstrip("/")).check(idle)), as_json=as_json)


class _Deployment:
    def __init__(self, url: str) -> None:
        self._url = url
        parts = urlsplit(url)
        self._parts = parts
        self._host = parts.hostname or ""
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._is_local = self._host in _LOOPBACK

    async def check(self, idle: float) -> list[Finding]:
        async with httpx2.AsyncClient(timeout=CHECK_SECONDS, headers={"Accept-Encoding": "gzip"}) as client:
            self._client = client
            findings = [await self._run("encryption", self._encryption()), await self._run("health", self._health())]
            if findings[-1].state == "failed":
                return findings  # the other checks would only repeat it
            for topic, check in (
                ("page", self._page()),
                ("headers", self._headers()),
                ("socket", self._socket()),
                ("foreign pages", self._foreign()),
                ("strangers", self._strangers()),
                ("streams", self._stream()),
            ):
                findings.append(await self._run(topic, check))
            if idle > 0:
                findings.append(await self._run("silence", self._silence(idle), CHECK_SECONDS + idle))
            else:
                findings.append(Finding("silence", "off", "not tested; --idle 75 does"))
        return findings

    async def _run(
        self, topic: str, check: Coroutine[object, object, str], limit: float = 2 * CHECK_SECONDS
    ) -> Finding:
        try:
            async with asyncio.timeout(limit):
                return Finding(topic, "ok", await check)
        except _Failed as error:
            return Finding(topic, "failed", str(error))
        except (TimeoutError, httpx2.TimeoutException):
            return Finding(topic, "failed", f"no response within {limit:.0f} seconds")
        except httpx2.HTTPError as error:
            return Finding(topic, "failed", f"{self._host} cannot be reached ({_reason(error)})")

    async def _encryption(self) -> str:
        if self._parts.scheme == "http":
            if self._is_local:
                return "none, which is enough on this machine"
            raise _Failed("none: everybody on the way can read all conversations. Serve it over https.")
        days = await self._days_of_certificate()
        if days < SOON:
            raise _Failed(f"the certificate is valid for {days} more days only; is it renewed automatically?")
        return f"TLS, with a certificate that is valid for {days} more days"

    async def _days_of_certificate(self) -> int:
        try:
            _, writer = await asyncio.open_connection(
                self._host, self._parts.port or 443, ssl=ssl.create_default_context(), server_hostname=self._host
            )
        except ssl.SSLCertVerificationError as error:
            raise _Failed(f"browsers refuse the certificate: {error.verify_message}.") from None
        except OSError as error:
            raise _Failed(f"{self._host} cannot be reached ({error.strerror or type(error).__name__}).") from None
        certificate = writer.get_extra_info("peercert")
        writer.close()
        return int((ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) // 86400)

    async def _health(self) -> str:
        response = await self._get("/healthz")
        if response.status_code != 200 or not _is_json(response):
            raise _Failed(f"/healthz answers {response.status_code}: this is not streamchat, or a proxy is in between.")
        response = await self._get("/readyz")
        if response.status_code != 200:
            raise _Failed("the server is running, and its database does not respond (/readyz).")
        return "the server and its database respond"

    async def _page(self) -> str:
        response = await self._get("/")
        if response.status_code == 421:
            raise _Failed(f"the server does not know this name. Set STREAMCHAT_PUBLIC_URL={self._url}.")
        if response.status_code != 200 or "html" not in response.headers.get("content-type", ""):
            raise _Failed(f"the page answers {response.status_code}, not with HTML.")
        return f"served ({len(response.content) / 1000:.0f} kB)"

    async def _headers(self) -> str:
        headers = (await self._get("/")).headers
        policy = headers.get("content-security-policy", "")
        missing = [
            name
            for name, is_there in (
                ("Content-Security-Policy", "script-src" in policy or "default-src" in policy),
                ("frame-ancestors or X-Frame-Options", "frame-ancestors" in policy or "x-frame-options" in headers),
                ("X-Content-Type-Options", headers.get("x-content-type-options") == "nosniff"),
                ("Referrer-Policy", "referrer-policy" in headers),
            )
            if not is_there
        ]
        if missing:
            raise _Failed(f"missing on the page: {', '.join(missing)}. The proxy must pass the server's headers on.")
        return "the page has its security headers"

    async def _socket(self) -> str:
        try:
            began = time.monotonic()
            async with connect(self._socket_url(), origin=self._origin, open_timeout=CHECK_SECONDS) as socket:  # pyrefly: ignore[bad-argument-type]
                await socket.recv()
            return f"WebSockets work ({(time.monotonic() - began) * 1000:.0f} ms to the first message)"
        except InvalidStatus as error:
            if error.response.status_code == 403:
                raise _Failed(
                    f"the server refuses sockets of its own page. Set STREAMCHAT_PUBLIC_URL={self._url}."
                ) from None
            raise _Failed(self._blocked()) from None
        except (OSError, WebSocketException):
            raise _Failed(self._blocked()) from None

    def _blocked(self) -> str:
        return "WebSockets are blocked, so the page cannot work. The proxy must forward Upgrade and Connection."

    async def _foreign(self) -> str:
        """A page of another site opens the socket, and starts an answer."""
        try:
            async with connect(self._socket_url(), origin=FOREIGN, open_timeout=CHECK_SECONDS):  # pyrefly: ignore[bad-argument-type]
                raise _Failed("pages of other sites may open the socket; does the proxy remove the Origin header?")
        except (InvalidHandshake, OSError):
            pass
        # Without a question: if the origin is not checked, the request is refused for its content.
        headers = {"Origin": FOREIGN, "Sec-Fetch-Site": "cross-site"}
        response = await self._client.post(self._url + "/api/runs", json={}, headers=headers)
        if response.status_code not in (401, 403):
            raise _Failed(f"a request of another site is not refused for its origin ({response.status_code}).")
        return "requests of other sites are refused"

    async def _strangers(self) -> str:
        response = await self._get("/api/conversations?limit=1")
        if response.status_code in (401, 403):
            return "nobody reads anything without signing in"
        if response.status_code == 200 and self._is_local:
            return "everybody on this machine may read everything"
        raise _Failed(
            f"/api/conversations answers {response.status_code} to a stranger: whoever reaches this address can read "
            "everything. Set STREAMCHAT_PASSWORD or STREAMCHAT_ACCOUNTS."
            if response.status_code == 200
            else f"/api/conversations answers {response.status_code}."
        )

    async def _stream(self) -> str:
        pieces = await self._read("/api/status/stream")
        if len(pieces) < 2:
            raise _Failed("streams are blocked: answers cannot be followed over HTTP.")
        (first_at, first_sent), (last_at, last_sent) = pieces[0], pieces[-1]
        sent = last_sent - first_sent
        if last_at - first_at < sent / 2:
            raise _Failed(
                "streams are buffered: what the server sent within a second arrived at once. The proxy must respect "
                "X-Accel-Buffering: no, and must not compress text/event-stream."
            )
        late = max(at - first_at - (piece - first_sent) for at, piece in pieces)
        return f"arrive piece by piece (at most {max(0, late) * 1000:.0f} ms late)"

    async def _silence(self, seconds: float) -> str:
        pieces = await self._read(f"/api/status/idle?seconds={seconds:g}", seconds=seconds + CHECK_SECONDS)
        if len(pieces) < 2:
            raise _Failed(
                f"a connection that is silent for {seconds:g} seconds is cut. Answers survive it: they send a comment "
                "every 10 seconds. Raise the proxy's read time-out all the same."
            )
        return f"a connection may be silent for {seconds:g} seconds"

    async def _read(self, path: str, seconds: float = CHECK_SECONDS) -> list[tuple[float, float]]:
        """Return the time at which each event arrived and the time at which it was sent, in seconds."""
        pieces: list[tuple[float, float]] = []
        try:
            async with self._client.stream("GET", self._url + path, timeout=seconds) as response:
                if response.status_code == 401:
                    raise _Failed("not tested: the server asks for a sign-in.")
                async for line in response.aiter_lines():
                    if line.startswith("data:"):
                        event = json.loads(line[5:])
                        pieces.append((time.monotonic(), event["ms"] / 1000))
                        if event["last"]:
                            break
        except (httpx2.HTTPError, ValueError, KeyError):
            pass  # what has arrived is judged
        return pieces

    async def _get(self, path: str) -> httpx2.Response:
        return await self._client.get(self._url + path)

    def _socket_url(self) -> str:
        return f"{self._url.replace('http', 'ws', 1)}/_event/?EIO=4&transport=websocket"


def _is_json(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").startswith("application/json")


def _reason(error: BaseException) -> str:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # pyrefly: ignore[bad-assignment]
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
