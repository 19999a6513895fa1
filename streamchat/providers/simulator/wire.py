"""What a wire format has to offer to the server. Protocols and small values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from streamchat.providers.simulator.ask import Ask
from streamchat.providers.simulator.steps import Step, Whole


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no answer. ``kind``: a fault's word, ``not-found``, ``bad-request`` or ``bad-path``; ``key``: what
    the client presented, which real vendors quote in part; ``retry_after``: seconds."""

    kind: str
    text: str = ""
    key: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Stream(Protocol):
    """Writes one answer, event by event. Every method returns the bytes for the body; ``b""`` for nothing."""

    def open(self) -> bytes: ...
    def step(self, step: Step) -> bytes: ...
    def ping(self) -> bytes: ...
    def error(self, kind: str) -> bytes:
        """How the vendor says ``overloaded-after`` or ``error-event`` in the middle of a stream."""
        ...


class Wire(Protocol):
    """One vendor's format."""

    name: str
    path: str

    def parse(self, body: Mapping[str, Any]) -> Ask:
        """Raises ``BadRequest``."""
        ...

    def stream(self, ask: Ask, number: int, created: float) -> Stream: ...
    def whole(self, ask: Ask, answer: Whole, number: int, created: float) -> dict[str, Any]: ...
    def problem(self, problem: Problem) -> Reply: ...
