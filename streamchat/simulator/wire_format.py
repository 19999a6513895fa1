"""Interface between the server and the wire formats. Protocols and values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from streamchat.simulator.request import Ask
from streamchat.simulator.steps import Step, Whole


@dataclass(frozen=True, slots=True)
class Problem:
    """An error response, independent of the format.

    ``kind``: a fault of ``words.BEFORE``, ``not-found``, ``bad-request`` or ``bad-path``. ``key``: the API key that the
    client sent, which real vendors quote in part. ``retry_after``: seconds.
    """

    kind: str
    text: str = ""
    key: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP response."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Stream(Protocol):
    """Encoder of one streamed answer. Every method returns bytes of the body, possibly none."""

    def open(self) -> bytes:
        """Return the events before the first step."""
        ...

    def step(self, step: Step) -> bytes:
        """Return the events of a step, or ``b""`` if it has none."""
        ...

    def ping(self) -> bytes:
        """Return a keep-alive without content."""
        ...

    def error(self, kind: str) -> bytes:
        """Return the vendor's error event for ``overloaded-after`` or ``error-event`` in the middle of a stream."""
        ...


class Wire(Protocol):
    """A wire format. ``path`` is where the server accepts its requests."""

    name: str
    path: str

    def parse(self, body: Mapping[str, Any]) -> Ask:
        """Parse the JSON body of a request. Raises ``BadRequest``."""
        ...

    def stream(self, ask: Ask, number: int, created: float) -> Stream:
        """Return an encoder for one answer. ``number`` goes into its identifiers; ``created``: epoch seconds."""
        ...

    def whole(self, ask: Ask, answer: Whole, number: int, created: float) -> dict[str, Any]:
        """Return the JSON body of an answer without streaming."""
        ...

    def problem(self, problem: Problem) -> Reply:
        """Return the vendor's error response for a problem."""
        ...
