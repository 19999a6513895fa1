"""What one tab follows, as long as it is there and nobody follows anew for it.

Knows the tab's token and conversation; knows nothing of Reflex's states. Rules:

* A tab has one follower: a newer one (reconnect, navigation, a gap) ends the one before.
* A frame that could not reach the tab's state is not lost: the tab begins anew with the whole transcript.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from streamchat.ui import presence
from streamchat.ui.frames import Frame
from streamchat.ui.transcript import Transcript
from streamchat.wiring import LOCAL_OWNER, services

PAUSE_SECONDS = 0.5
# Keys are Reflex's tokens: names, not proofs.
_followers: dict[str, Follower] = {}


class Follower:
    def __init__(self, token: str, conversation_id: str | None) -> None:
        self._token = token
        self._conversation_id = conversation_id
        self._transcript: Transcript | None = None
        self._missed = False

    @property
    def wanted(self) -> bool:
        return _followers.get(self._token) is self and presence.is_open(self._token)

    def missed(self) -> None:
        """The last frame did not reach the tab."""
        self._missed = True

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """The transcript, then every change, until the tab goes or another follower comes."""
        if (earlier := _followers.get(self._token)) and earlier._transcript:
            earlier._transcript.close()
        _followers[self._token] = self
        try:
            while self.wanted:
                self._missed = False
                self._transcript = Transcript(services(), LOCAL_OWNER, self._conversation_id)
                async with aclosing(self._transcript.frames()) as frames:
                    async for frame in frames:
                        if not self.wanted:
                            return
                        if frame is not None:
                            yield frame
                        if self._missed:
                            break
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            if _followers.get(self._token) is self:
                del _followers[self._token]
