"""Tool calls one after the other.

A model may tell the arguments of several calls side by side, and text between them. The vendors' streams have one item
open at a time, and so do the programs that read them. Pure. Rules:

* While a call is open, only its own events pass; what else comes waits until it is complete, and keeps its order.
* An ending lets everything through.
* Calls that the provider runs itself are nobody's business here: they are left out.
"""

from __future__ import annotations

from streamchat.chat import events as e

_Of_call = e.ToolCallStarted | e.ToolCallArguments | e.ToolCallReady | e.ToolProgress | e.ToolResult


class InOrder:
    """``add`` returns what is due."""

    def __init__(self) -> None:
        self._open: str | None = None
        self._held: list[e.Event] = []
        self._hidden: set[str] = set()

    def add(self, event: e.Event) -> list[e.Event]:
        if isinstance(event, e.ToolCallStarted) and event.by_provider:
            self._hidden.add(event.call_id)
        if isinstance(event, _Of_call) and event.call_id in self._hidden:
            return []
        if self._open is None:
            return self._pass(event)
        if isinstance(event, e.ENDINGS):
            self._open = None
            return [*self._release(), *self._held_rest(), event]
        if isinstance(event, _Of_call) and event.call_id == self._open:
            return self._pass(event)
        self._held.append(event)
        return []

    def _pass(self, event: e.Event) -> list[e.Event]:
        match event:
            case e.ToolCallStarted(call_id):
                self._open = call_id
            case e.ToolCallReady() | e.ToolResult():
                self._open = None
                return [event, *self._release()]
        return [event]

    def _release(self) -> list[e.Event]:
        """What waited, up to the next call that is not complete."""
        held, self._held = self._held, []
        due: list[e.Event] = []
        for event in held:
            due += self.add(event)
        return due

    def _held_rest(self) -> list[e.Event]:
        """What waits behind a call that will not be complete."""
        due: list[e.Event] = []
        while self._held or self._open is not None:
            self._open = None
            due += self._release()
        return due
