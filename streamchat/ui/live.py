"""What the page and the server say to each other while answers arrive.

``Live.f`` is the newest frame, never a growing value; the browser keeps the transcript. Rules:

* A handler is called by anybody with any payload: each one validates, and acts for the owner only.
* Nothing is awaited while the tab's state is locked but the state itself.
* The conversation is found by the page's address, never by Reflex's session, which does not last.
"""

from __future__ import annotations

import re
from contextlib import aclosing

import reflex as rx
from reflex_base.utils.exceptions import LockExpiredError

from streamchat.chat.messages import TextPart
from streamchat.errors import InvalidInput, StreamchatError
from streamchat.ui import chats, deciding, toolmenu
from streamchat.ui.follower import Follower
from streamchat.ui.frames import Frame, say, sent
from streamchat.ui.transcript import earlier_messages
from streamchat.wiring import LOCAL_OWNER, STATE_LOST, services

_ADDRESS = re.compile(r"/(?:c/([\w-]{1,64})/?)?")


def conversation_of(path: str) -> str | None:
    """The conversation that an address names: ``/c/<id>``; ``None`` for a new chat at ``/``.

    Any other address names a conversation that cannot exist.
    """
    match = _ADDRESS.fullmatch(path)
    return match[1] if match else "no such address"


class Live(rx.State):
    """One tab's view of one conversation."""

    f: Frame = {}

    @rx.event(background=True)
    async def follow(self):
        """Send the transcript, then every change, until the tab goes or asks anew (reconnect, navigation, gap)."""
        async with self:
            token, path = self.router.session.client_token, self.router.url.path
        follower = Follower(token, conversation_of(path))
        async with aclosing(follower.frames()) as frames:
            async for frame in frames:
                listed = await chats.listed(frame)
                try:
                    async with self:
                        if listed:
                            (await self.get_state(chats.Chats))._show(listed)
                        if frame.get("k") != "rows":
                            self.f = frame
                except (*STATE_LOST, LockExpiredError):
                    follower.missed()
                    continue
                yield

    @rx.event(background=True)
    async def send(self, text: str, client_id: str, model: str):
        """Start an answer in this tab's conversation, or in a new one, to whose address the tab then goes."""
        async with self:
            here = conversation_of(self.router.url.path)
        try:
            if not isinstance(text, str):
                raise InvalidInput("The message is not text.")
            begun = await services().runs.start(
                LOCAL_OWNER,
                conversation_id=here,
                client_message_id=client_id,
                parts=(TextPart(text),),
                model=model,
            )
        except StreamchatError as error:
            async with self:
                self.f = say(error.user_message, client_id if isinstance(client_id, str) else None)
            return
        async with self:
            self.f = sent(client_id)
        if here is None:
            yield rx.redirect(f"/c/{begun.conversation_id}", replace=True)

    @rx.event(background=True)
    async def stop(self):
        """Stop what is answering in this tab's conversation."""
        async with self:
            here = conversation_of(self.router.url.path)
        try:
            if here:
                await services().runs.stop(LOCAL_OWNER, here)
        except StreamchatError as error:
            async with self:
                self.f = say(error.user_message)

    @rx.event(background=True)
    async def retry(self, message_id: str, client_id: str, model: str):
        """Answer again, as a sibling."""
        if said := await _again(message_id, client_id, model, keep=False):
            async with self:
                self.f = said

    @rx.event(background=True)
    async def keep_on(self, message_id: str, client_id: str, model: str):
        """Continue a partial answer, as a sibling."""
        if said := await _again(message_id, client_id, model, keep=True):
            async with self:
                self.f = said

    @rx.event(background=True)
    async def decide(self, run_id: str, call_id: str, decision: dict):
        """Say whether a tool call that waits may run."""
        if said := await deciding.decide(run_id, call_id, decision):
            async with self:
                self.f = said

    @rx.event(background=True)
    async def tools(self):
        """Send the list of tools of this tab's conversation."""
        async with self:
            here = conversation_of(self.router.url.path)
        said = await toolmenu.menu(here)
        async with self:
            self.f = said

    @rx.event(background=True)
    async def switch(self, name: str, on: bool):
        """Switch a tool, or all of a server, on or off in this tab's conversation."""
        async with self:
            here = conversation_of(self.router.url.path)
        said = await toolmenu.switched(here, name, on)
        async with self:
            self.f = said

    @rx.event(background=True)
    async def earlier(self, before: str):
        """Send the messages before this one."""
        async with self:
            here = conversation_of(self.router.url.path)
        try:
            frame = await earlier_messages(services(), LOCAL_OWNER, here, before)
        except StreamchatError as error:
            frame = say(error.user_message)
        async with self:
            self.f = frame


async def _again(message_id: str, client_id: str, model: str, keep: bool) -> Frame | None:
    try:
        if not isinstance(message_id, str):
            raise InvalidInput("There is no such answer.")
        await services().runs.again(
            LOCAL_OWNER, message_id=message_id, client_message_id=client_id, model=model, keep=keep
        )
    except StreamchatError as error:
        return say(error.user_message, client_id if isinstance(client_id, str) else None)
    return None
