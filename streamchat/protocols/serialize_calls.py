"""Serialisation of tool calls: one after the other.

A model may send the arguments of several calls side by side, and text between them. The vendors' streams have one item
open at a time, and so do the programs that read them. Pure. Rules:

* While a call is open, only its own events pass; others wait until it is complete, and keep their order.
* An ending lets everything through.
* Calls that the provider runs itself are left out.
"""

from __future__ import annotations

from streamchat.chat import events as e

_CallEvent = e.ToolCallStarted | e.ToolCallArguments | e.ToolCallReady | e.ToolProgress | e.ToolResult


class InOrder:
    """Reorders events; ``add`` returns those that are due."""

    def __init__(self) -> None:
        self._open: str | None = None
        self._waiting: list[e.Event] = []
        self._hidden: set[str] = set()

    def add(self, event: e.Event) -> list[e.Event]:
        """Add an event, and return the events that are due."""
        if isinstance(event, e.ToolCallStarted) and event.by_provider:
            self._hidden.add(event.call_id)
        if isinstance(event, _CallEvent) and event.call_id in self._hidden:
            return []
        if self._open is None:
            return self._pass(event)
        if isinstance(event, e.ENDINGS):
            self._open = None
            return [*self._release(), *self._release_all(), event]
        if isinstance(event, _CallEvent) and event.call_id == self._open:
            return self._pass(event)
        self._waiting.append(event)
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
        """Return the waiting events up to the next incomplete call."""
        waiting, self._waiting = self._waiting, []
        due: list[e.Event] = []
        for event in waiting:
            due += self.add(event)
        return due

    def _release_all(self) -> list[e.Event]:
        """Return the events that wait for a call that will not be completed."""
        due: list[e.Event] = []
        while self._waiting or self._open is not None:
            self._open = None
            due += self._release()
        return due
