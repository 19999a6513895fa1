"""The follower of a tab: yields its frames while its socket is open and no newer follower replaces it.

Knows the tab's token and conversation, its user, and whether its socket is open; knows nothing of Reflex's states.
Rules:

* Reflex keeps running a background handler after its tab has closed: the follower checks, and ends.
* A tab has one follower: a newer one (reconnect, navigation, a gap) ends the previous one.
* A tab that begins a conversation gets it at once (``begin``). It goes to the new address after the first words, since
  that is a hundred milliseconds of work for the browser.
* A frame that could not be stored in the tab's state is not lost: the tab starts over with the whole transcript.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from time import monotonic

import reflex as rx

from streamchat.errors import StreamchatError, Unauthorized
from streamchat.protocols.page.stream import Frame
from streamchat.reflex_internals import is_connected, keep_locks_from_cancellation, keep_tokens_out_of_the_log
from streamchat.ui.context import refused
from streamchat.ui.transcript import Page, ReadList, Transcript
from streamchat.wiring.request_context import RequestContext

PAUSE_SECONDS = 0.5
# Credentials are looked at again this often, and at once if something of their owner was revoked.
IDENTITY_SECONDS = 60.0
# Keys are Reflex's tokens, which identify a tab and prove nothing.
_followers: dict[str, Follower] = {}
_app: rx.App | None = None


class Follower:
    """Follows a conversation for one tab. ``read_list``: see ``Transcript``.

    ``identify`` raises ``StreamchatError`` once the tab's credentials do not count any more.
    """

    def __init__(
        self,
        context: RequestContext,
        token: str,
        conversation_id: str | None,
        identify: Callable[[], Awaitable[object]],
        read_list: ReadList,
    ) -> None:
        self._context = context
        self._identify = identify
        self._read_list = read_list
        self._identified_at = monotonic()
        self._token = token
        self.conversation_id = conversation_id
        self._transcript: Transcript | None = None
        self._missed = False
        self.begun = False
        self._page: Page | None = None

    @property
    def active(self) -> bool:
        """True if this is the tab's newest follower, and its socket is open."""
        return _followers.get(self._token) is self and is_open(self._token)

    def move_to(self, conversation_id: str, page: Page | None) -> None:
        """Follow the conversation that the tab has begun from now on. ``page``: what it begins with, if known."""
        self.conversation_id = conversation_id
        self.begun = True
        self._page = page
        if self._transcript:
            self._transcript.close()

    def missed(self) -> None:
        """Report that the last frame did not reach the tab."""
        self._missed = True

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """Yield the transcript, then every change, until the tab closes or another follower replaces this one."""
        if (earlier := _followers.get(self._token)) and earlier._transcript:
            earlier._transcript.close()
        _followers[self._token] = self
        accounts = self._context.services.accounts
        unwatch = accounts.sessions.watch(self._context.owner, self._revoked) if accounts else None
        try:
            while self.active:
                self._missed = False
                services, page, self._page = self._context.services, self._page, None
                self._transcript = Transcript(
                    services,
                    self._context.owner,
                    self.conversation_id,
                    begun=self.begun,
                    page=page,
                    read_list=self._read_list,
                )
                async with aclosing(self._transcript.frames()) as frames:
                    async for frame in frames:
                        if not self.active:
                            return
                        if refusal := await self._refusal():
                            yield refusal
                            return
                        if frame is not None:
                            yield frame
                        if self._missed:
                            break
                if self._missed:
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            if unwatch is not None:
                unwatch()
            if _followers.get(self._token) is self:
                del _followers[self._token]

    def _revoked(self) -> None:
        """Look at the credentials with the next frame; the notification about it is one."""
        self._identified_at = -IDENTITY_SECONDS

    async def _refusal(self) -> Frame | None:
        """Return the frame for a tab whose session has ended meanwhile. Its answer goes on; only the tab does not."""
        if monotonic() - self._identified_at < IDENTITY_SECONDS:
            return None
        self._identified_at = monotonic()
        try:
            await self._identify()
        except Unauthorized as error:
            return refused(error)
        except StreamchatError:
            pass  # the database is away: the transcript shows that
        return None


def show_earlier(token: str, before: str) -> None:
    """Let the follower of a tab send the page of messages before ``before``. A tab without one gets everything anew."""
    if (follower := _followers.get(token)) and follower._transcript:
        follower._transcript.show_earlier(before)


def begin(token: str, conversation_id: str, page: Page | None = None) -> None:
    """Let the follower of a tab follow the conversation that the tab has begun. ``page``: what it begins with."""
    if (follower := _followers.get(token)) and follower.conversation_id is None:
        follower.move_to(conversation_id, page)


def begun_by(token: str) -> str | None:
    """Return the conversation that the tab has begun and shows, if its address is not there yet."""
    follower = _followers.get(token)
    return follower.conversation_id if follower and follower.begun else None


def set_pace(token: str, seconds: float) -> None:
    """Let the follower of a tab send pieces of answers this often, until another follower replaces it."""
    if (follower := _followers.get(token)) and follower._transcript:
        follower._transcript.set_pace(seconds)


def watch(app: rx.App) -> None:
    """Register the app whose sockets ``is_open`` looks at."""
    global _app
    _app = app
    keep_tokens_out_of_the_log()
    keep_locks_from_cancellation()


def is_open(token: str) -> bool:
    """Return whether a socket of this tab is connected to this process."""
    return _app is not None and is_connected(_app, token)
