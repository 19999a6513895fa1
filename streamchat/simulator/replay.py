"""A recording in a message, as steps with their times.

Pure; ``streamchat/protocols/recording.py`` writes the form. Rules:

* Text, thinking and the ending are played. Tool calls are not: a replay runs no tools.
* What did not end by itself (failed, stopped, interrupted) is cut off at the same place.
* The recorded text is not searched for options.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from streamchat.simulator.steps import End, Fault, Reasoning, ReasoningEnd, Step, Text
from streamchat.simulator.words import UnknownWord

_START = re.compile(r'\{\s*"format"\s*:\s*"streamchat-recording"')
_REASONS = frozenset(("stop", "length", "refusal", "content-filter", "pause"))


@dataclass(frozen=True, slots=True)
class Recording:
    """``steps`` end with an ending. ``times``: of each token, in seconds from the request."""

    steps: tuple[Step, ...]
    times: tuple[float, ...]


def find(message: str) -> tuple[str, Recording | None]:
    """Return the message without its recording, and the recording, if there is one.

    Raises ``UnknownWord`` if it cannot be read.
    """
    start = _START.search(message)
    if start is None:
        return message, None
    try:
        data, end = json.JSONDecoder().raw_decode(message, start.start())
        recording = _read(data["events"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnknownWord("The recording in this message cannot be read.") from None
    return message[: start.start()] + message[end:], recording


def _read(events: list[dict[str, object]]) -> Recording:
    steps: list[Step] = []
    times: list[float] = []
    ending: Step = Fault("cut")
    for event in events:
        kind, text = event["type"], event.get("text", "")
        if kind in ("text-delta", "reasoning-delta") and text:
            if not isinstance(text, str):
                raise TypeError
            if kind == "text-delta" and steps and isinstance(steps[-1], Reasoning):
                steps.append(ReasoningEnd(""))
            steps.append(Text(text) if kind == "text-delta" else Reasoning(text))
            at = min(max(float(event["at_ms"]) / 1000, 0.0), 86_400.0)  # pyrefly: ignore[bad-argument-type]
            times.append(max(at, times[-1] if times else 0.0))
        elif kind == "finished":
            reason = event.get("reason", "stop")
            ending = End(str(reason) if reason in _REASONS else "stop")
    return Recording((*steps, ending), tuple(times))
