"""The state behind the transcript: sends frames to the page, and handles its events.

``Live.f`` is the newest frame, never a growing value; the browser keeps the transcript. Rules:

* Any client can call a handler with any payload: each handler validates, and acts for the tab's owner only.
* While the tab's state is locked, nothing is awaited but the state itself.
* The conversation is that of the page's address, never of Reflex's session, which does not last.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

import reflex as rx
from reflex.utils.exceptions import LockExpiredError

from streamchat.chat.conversation_settings import options_from_fields
from streamchat.chat.files import MAX_FILES
from streamchat.chat.messages import FilePart, TextPart
from streamchat.chat.presets import MAX_TOOLS
from streamchat.chat.request import NewRun
from streamchat.errors import InvalidInput, StreamchatError
from streamchat.protocols.page.stream import Frame, sent
from streamchat.ui import approvals, sidebar, tool_menu
from streamchat.ui.context import Tab, context_of, handling, refused, services, tab_of
from streamchat.ui.tab_session import Follower, begin, begun_by, set_pace, show_earlier
from streamchat.ui.transcript import shared_messages
from streamchat.wiring import state_lost
from streamchat.wiring.request_context import first_page

# What a tab may ask for: milliseconds between two batches of pieces.
MAX_PACE_MS = 1000
MAX_STOPPED = 100  # answers at once: more than stand side by side


class Live(rx.State):
    """One tab's view of one conversation."""

    f: dict = {}  # a ``Frame``; Reflex looks at each item of a ``dict[str, Any]``, for 2 % of the server's work

    @rx.event(background=True)
    async def follow(self):
        """Send the transcript, then every change, until the tab closes or calls again (reconnect, navigation, gap)."""
        async with self:
            tab = tab_of(self)
        try:
            if tab.share_id is not None:  # for whoever has the link
                frame = await shared_messages(services(), tab.share_id)
                async with self:
                    self.f = frame
                return
            context = await context_of(tab)
        except StreamchatError as error:
            async with self:
                self.f = refused(error)
            return
        read_list = partial(sidebar.read_list, context)
        follower = Follower(context, tab.token, tab.conversation_id, partial(context_of, tab), read_list)
        whole = False  # whether the tab may lack what it was sent of the list
        async with aclosing(follower.frames()) as frames:
            async for frame in frames:
                listed = frame.get("list")
                if frame.get("k") == "open" and not frame.get("begun"):
                    listed = await read_list(models=True, at_once=True)
                try:
                    async with self:
                        if listed:
                            (await self.get_state(sidebar.Chats))._show(listed, context.owner, whole=whole)
                        if frame.get("k") != "rows":
                            self.f = frame
                except (*state_lost(), LockExpiredError):
                    whole = True
                    follower.missed()
                    continue
                whole = whole and not listed
                yield

    @rx.event(background=True)
    async def send(self, text: str, client_id: str, model: str, settings: dict | None = None):
        """Start an answer in this tab's conversation, or in a new one, which the tab shows at once.

        The page goes to the address of a new one after its first words.

        ``settings``: those of a new conversation; ``conversation`` in it is the one that the tab shows, and ``models``
        are those that answer side by side.
        """
        async with self:
            tab = tab_of(self)
        try:
            new = new_run(tab, text, client_id, model, settings)
            models = models_of(settings)
            async with handling(tab) as context:
                started = (await context.compare(new, models))[0] if models else await context.start(new)
        except StreamchatError as error:
            async with self:
                self.f = refused(error, client_id if isinstance(client_id, str) else None)
            return
        async with self:
            self.f = sent(client_id)
        if new.conversation_id is None:
            begin(tab.token, started.conversation_id, None if models else first_page(started))

    @rx.event(background=True)
    async def stop(self, waiting_only: bool = False, run_ids: list[str] | None = None):
        """Stop the answers that the person saw.

        ``waiting_only``: only if they still wait for an approval. ``run_ids``: which they are; a page that was loaded
        before an update does not say, and stops those in its conversation.
        """
        async with self:
            tab = shown_in(tab_of(self))
        try:
            async with handling(tab) as context:
                if isinstance(run_ids, list):
                    seen = {one for one in run_ids[:MAX_STOPPED] if isinstance(one, str)}
                    await context.runs.stop_seen(context.owner, seen, waiting_only=waiting_only is True)
                elif tab.conversation_id:
                    await context.runs.stop(context.owner, tab.conversation_id)
        except StreamchatError as error:
            async with self:
                self.f = refused(error)

    @rx.event(background=True)
    async def retry(self, message_id: str, client_id: str, model: str):
        """Answer again, as a sibling."""
        async with self:
            tab = tab_of(self)
        if frame := await _retry(tab, message_id, client_id, model, continue_partial=False):
            async with self:
                self.f = frame

    @rx.event(background=True)
    async def continue_answer(self, message_id: str, client_id: str, model: str):
        """Continue a partial answer, as a sibling."""
        async with self:
            tab = tab_of(self)
        if frame := await _retry(tab, message_id, client_id, model, continue_partial=True):
            async with self:
                self.f = frame

    @rx.event(background=True)
    async def decide(self, run_id: str, call_id: str, decision: dict):
        """Approve or deny a tool call that waits for approval."""
        async with self:
            tab = tab_of(self)
        if frame := await approvals.decide(tab, run_id, call_id, decision):
            async with self:
                self.f = frame

    @rx.event(background=True)
    async def tools(self):
        """Send the list of tools of this tab's conversation."""
        async with self:
            tab = shown_in(tab_of(self))
        frame = await tool_menu.menu(tab)
        async with self:
            self.f = frame

    @rx.event(background=True)
    async def switch(self, name: str, on: bool):
        """Switch a tool, or all of a server, on or off in this tab's conversation."""
        async with self:
            tab = shown_in(tab_of(self))
        frame = await tool_menu.switch(tab, name, on)
        async with self:
            self.f = frame

    @rx.event(background=True)
    async def earlier(self, before: str):
        """Send the page of messages before the message ``before``."""
        async with self:
            tab = tab_of(self)
        try:
            if not isinstance(before, str):
                raise InvalidInput("There is no such message.")
            if tab.share_id is not None:
                frame = await shared_messages(services(), tab.share_id, before)
            else:
                async with handling(tab):
                    show_earlier(tab.token, before)
                return
        except StreamchatError as error:
            frame = refused(error)
        async with self:
            self.f = frame

    @rx.event(background=True)
    async def pace(self, milliseconds: int):
        """Send this tab the pieces of answers with so much time between them: it is hidden, or paints slowly."""
        async with self:
            tab = tab_of(self)
        if isinstance(milliseconds, int) and 0 <= milliseconds <= MAX_PACE_MS:
            set_pace(tab.token, milliseconds / 1000)


def shown_in(tab: Tab) -> Tab:
    """Return the tab with the conversation that it shows: one that it has begun is there before its address is."""
    return tab if tab.conversation_id else replace(tab, conversation_id=begun_by(tab.token))


def new_run(tab: Tab, text: Any, client_id: Any, model: Any, settings: Any) -> NewRun:
    """Return the run that a message starts. Raises ``InvalidInput``, also if the tab shows another conversation."""
    if not isinstance(text, str):
        raise InvalidInput("The message is not text.")
    fields = settings if isinstance(settings, dict) else {}
    shown = fields.get("conversation", tab.conversation_id)
    # At the address of a new chat a page may show what it has begun, also after its socket was lost meanwhile.
    if not (shown is None or isinstance(shown, str)) or tab.conversation_id not in (None, shown):
        raise InvalidInput("This page shows another conversation now. Send the message again.")
    attached = attached_files(fields)
    return NewRun(
        client_message_id=client_id,
        model=model,
        parts=(*([TextPart(text)] if text.strip() or not attached else []), *attached),
        conversation_id=shown,
        options=options_from_fields(fields),
        inherit=True,
        tools_off=_names(fields.get("tools_off")),
        temporary=shown is None and fields.get("temporary") is True,
    )


def models_of(settings: Any) -> list[str]:
    """Return the models that answer a message side by side, if there are several. Raises ``InvalidInput``."""
    return _names(settings.get("models")) if isinstance(settings, dict) else []


def _names(value: Any) -> list[str]:
    """Return the names in a field: of tools and servers, or of models. Raises ``InvalidInput``."""
    names = [] if value is None else value
    if not (isinstance(names, list) and len(names) <= MAX_TOOLS and all(_is_name(name) for name in names)):
        raise InvalidInput("These are no names.")
    return names


def _is_name(value: object) -> bool:
    """Return whether a value may be the name of a tool, a server or a model."""
    return isinstance(value, str) and 0 < len(value) <= 200


def attached_files(fields: Mapping[str, Any]) -> list[FilePart]:
    """Return the parts that name the uploaded files of a message: ``fields["files"]``. Raises ``InvalidInput``."""
    ids = fields.get("files", [])
    if not isinstance(ids, list) or len(ids) > MAX_FILES or not all(isinstance(one, str) and one for one in ids):
        raise InvalidInput(f"The files of a message are {MAX_FILES} ids at most.")
    return [FilePart("", file_id=file_id) for file_id in ids]


async def _retry(tab: Tab, message_id: str, client_id: str, model: str, continue_partial: bool) -> Frame | None:
    try:
        if not isinstance(message_id, str):
            raise InvalidInput("There is no such answer.")
        async with handling(tab) as context:
            await context.retry(message_id, client_id, model, continue_partial=continue_partial)
    except StreamchatError as error:
        return refused(error, client_id if isinstance(client_id, str) else None)
    return None
