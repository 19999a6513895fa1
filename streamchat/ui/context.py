"""Access of the page's states to the services, and the identity of a tab's user.

Reflex creates states itself, so nothing can be passed to them: the app registers its services here once (``serve``).
Rules:

* A handler calls ``tab_of`` while it holds the state's lock, and ``handling`` or ``context_of`` when it does not.
* The tab's token identifies the tab and authorises nothing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import reflex as rx
from starlette.requests import cookie_parser

from streamchat.errors import StreamchatError, Unauthorized
from streamchat.identity import Credentials
from streamchat.protocols.page.stream import Frame, say
from streamchat.wiring import ServiceHolder, Services
from streamchat.wiring.request_context import RequestContext, context_for

_ADDRESS = re.compile(r"/(?:c/([\w-]{1,64})/?)?")
_SHARED = re.compile(r"/s/([\w-]{1,64})/?")
_holder = ServiceHolder()


def serve(holder: ServiceHolder) -> None:
    """Register the services that the states call from now on."""
    global _holder
    _holder = holder


def services() -> Services:
    """Return the registered services. Raises ``RuntimeError`` unless the server is running."""
    return _holder.services


@dataclass(frozen=True, slots=True)
class Tab:
    """A browser tab. ``token``: Reflex's; ``conversation_id``: from the tab's address, ``None`` for a new chat.

    ``share_id``: of the link to a snapshot that the address is, if it is one.
    """

    token: str
    conversation_id: str | None
    credentials: Credentials
    share_id: str | None = None


def tab_of(state: rx.State) -> Tab:
    """Return the tab whose event is handled. Call it within ``async with state``."""
    router = state.router
    headers = {name.lower(): value for name, value in router.headers.raw_headers.items()}
    credentials = Credentials(headers, cookie_parser(headers.get("cookie", "")), router.session.client_ip)
    path = router.url.path
    shared = _SHARED.fullmatch(path)
    return Tab(router.session.client_token, conversation_of(path), credentials, shared[1] if shared else None)


def refused(error: StreamchatError, client_id: str | None = None) -> Frame:
    """Return the frame that shows an error, and leads to the sign-in if that is what is missing."""
    return say(error.user_message, client_id, sign_in=isinstance(error, Unauthorized))


async def context_of(tab: Tab) -> RequestContext:
    """Return the context of a tab's request. Raises ``StreamchatError`` if its credentials are refused."""
    return await context_for(services(), tab.credentials)


@asynccontextmanager
async def handling(tab: Tab) -> AsyncIterator[RequestContext]:
    """Handle an event of a tab within the limits of its user. Raises ``TooManyRequests``, and as ``context_of``."""
    context = await context_of(tab)
    with context.services.usage.take_handler(context.owner, context.address):
        yield context


def conversation_of(path: str) -> str | None:
    """Return the conversation identifier of an address, ``/c/<id>``; ``None`` for a new chat at ``/``.

    For any other address, return an identifier that cannot exist.
    """
    match = _ADDRESS.fullmatch(path)
    return match[1] if match else "no such address"
