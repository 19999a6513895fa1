"""One attempt to deliver: a POST request, within a time limit, to an address that may be called.

Knows HTTP, no rows. Rules:

* A redirect is not followed: it is a failure, wherever it leads.
* Without ``private``, only ``https`` and public addresses are called, as resolved at the moment of the call.
* Of the response only the status and ``Retry-After`` are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

import httpx2

from streamchat.errors import InvalidInput
from streamchat.tools.ssrf_guard import Forbidden, GuardedTransport, Resolver, is_public, is_public_name, look_up, tls

GONE = 410
MAX_URL = 2000
_NOT_PUBLIC = "Only public addresses are called; whoever runs this server could set STREAMCHAT_WEBHOOK_PRIVATE."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt. ``error``: ``None`` if it was delivered; ``retry_after``: the seconds asked for."""

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None


class Sender:
    """Makes attempts. ``seconds``: the time limit of one; ``private``: any address may be called, also without TLS."""

    def __init__(self, *, private: bool = False, seconds: float = 15.0, resolve: Resolver = look_up) -> None:
        self._private = private
        self._seconds = seconds
        self._resolve = resolve

    @property
    def seconds(self) -> float:
        """The time limit of one attempt."""
        return self._seconds

    def check(self, url: str) -> str:
        """Return the address of a receiver in its normal form. Raises ``InvalidInput``."""
        try:
            parsed = httpx2.URL(url.strip())
        except (httpx2.InvalidURL, UnicodeError, ValueError):
            raise InvalidInput("This is no address of a receiver.") from None
        if parsed.scheme not in ("https", "http") or not parsed.host or len(str(parsed)) > MAX_URL:
            raise InvalidInput("The address of a receiver begins with https://.")
        if parsed.userinfo or parsed.fragment:
            raise InvalidInput("The address of a receiver has no user name and no #.")
        if not self._private:
            if parsed.scheme != "https":
                raise InvalidInput("The address of a receiver begins with https://.")
            if not _may_be_public(parsed.host):
                raise InvalidInput(_NOT_PUBLIC)
        return str(parsed)

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Make one attempt. Raises nothing but cancellation."""
        try:
            self.check(url)  # the setting may have changed since
            # Two limits: that of the transport names what took too long, the other holds whatever the receiver does.
            async with asyncio.timeout(self._seconds):
                return await self._post(url, headers, body)
        except (TimeoutError, httpx2.TimeoutException):
            return Outcome(error=f"no response within {self._seconds:g} seconds")
        except (Forbidden, InvalidInput):
            return Outcome(error=_NOT_PUBLIC)
        except httpx2.HTTPError as error:
            return Outcome(error=f"the connection failed ({type(error).__name__})")
        except Exception as error:  # what an odd receiver brings up must not end the deliveries to others
            return Outcome(error=f"the attempt failed ({type(error).__name__})")

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        transport = (
            httpx2.AsyncHTTPTransport(verify=tls(), trust_env=False)
            if self._private
            else GuardedTransport(is_public, self._resolve)
        )
        sent = {"Content-Type": "application/json", "User-Agent": "streamchat-webhooks", **headers}
        async with (
            httpx2.AsyncClient(transport=transport, trust_env=False, timeout=self._seconds) as client,
            client.stream("POST", url, headers=sent, content=body, follow_redirects=False) as response,
        ):
            status = response.status_code
            if 200 <= status < 300:
                return Outcome(status)
            if 300 <= status < 400:
                return Outcome(status, "it redirects, and redirects are not followed")
            return Outcome(status, f"it answered {status}", _seconds(response.headers.get("retry-after")))


def _may_be_public(host: str) -> bool:
    try:
        return is_public(ip_address(host.strip("[]")))
    except ValueError:
        return is_public_name(host)


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdecimal() else None
