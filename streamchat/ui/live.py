"""What the page and the server say to each other while answers arrive.

``Live.f`` is the newest frame, never a growing value; the browser keeps the transcript.
"""

from __future__ import annotations

import reflex as rx


class Live(rx.State):
    """One tab's view of one conversation."""

    f: dict = {}

    @rx.event(background=True)
    async def follow(self):
        """Send the transcript, then follow it live. Runs at each (re)connect and navigation."""

    @rx.event
    async def send(self, text: str, client_id: str, model: str):
        """Start an answer."""

    @rx.event
    async def stop(self):
        """Stop what is answering in this conversation."""

    @rx.event
    async def retry(self, message_id: str, client_id: str, model: str):
        """Answer again, as a sibling."""

    @rx.event
    async def keep_on(self, message_id: str, client_id: str, model: str):
        """Continue a partial answer, as a sibling."""

    @rx.event
    async def earlier(self, before: str):
        """Send the messages before this one."""
