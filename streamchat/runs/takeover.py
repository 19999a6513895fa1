"""Continuing an answer whose process is gone: whether, and the entries with which the new owner begins.

Pure: knows the message and nothing else. Rules:

* The budget is tries, time and size. An answer beyond it ends as *interrupted*, with its text kept.
* A call that was running may have had its effect: it is *unknown*, and a person decides. A call that was incomplete is
  told to the model as such. A call with a result is never run again.
* What was said before the first delta is nothing: the model is asked again, and there is no seam.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamchat.chat.events import Event, Interrupted, Notice, ToolResult
from streamchat.chat.messages import Message, NoticePart, ToolCallPart
from streamchat.runs.context_window import estimate

CONTINUE_SECONDS = 900.0
CONTINUE_TOKENS = 32_000
LOST_PROCESS = "The server stopped while it answered."
CUT_OFF = f"{LOST_PROCESS} What had arrived is kept."
INCOMPLETE = "This call was cut off before it was complete, and was not run."


@dataclass(frozen=True, slots=True)
class Budget:
    """How often an answer is continued after the death of its process, how old it may be, and how long.

    ``tries``: 0 continues nothing. ``seconds``: since the last heartbeat of its process. ``tokens``: an estimate of
    the answer so far.
    """

    tries: int = 0
    seconds: float = CONTINUE_SECONDS
    tokens: int = CONTINUE_TOKENS

    def allows(self, message: Message, takeovers: int, silence: float) -> bool:
        """Return whether this answer is continued. ``takeovers``: with this one; ``silence``: seconds."""
        in_budget = takeovers <= self.tries and silence <= self.seconds
        return self.tries > 0 and in_budget and estimate(message) <= self.tokens


def ending_of_orphan() -> Interrupted:
    """Return the ending of an answer that is not continued."""
    return Interrupted(CUT_OFF, "process-gone")


def has_begun_tools(message: Message, after: int) -> bool:
    """Return whether a call of ours in a part from ``after`` on was begun: so the response that made it has ended."""
    calls = [part for part in message.parts[after:] if isinstance(part, ToolCallPart) and not part.by_provider]
    return any(part.state in ("running", "done", "error", "timeout", "denied", "unknown") for part in calls)


def seam(message: Message, label: str) -> list[Event]:
    """Return the events with which a taken-over answer continues. ``label``: the name of the model."""
    events: list[Event] = []
    for part in message.parts:
        if isinstance(part, ToolCallPart):
            if part.schema is not None and part.state == "ready":
                continue  # a person has decided, which the provider is to be told
            if part.state == "receiving" or (part.by_provider and part.state in ("ready", "running")):
                events.append(ToolResult(part.id, "stopped", error=INCOMPLETE))
            elif part.state == "running":
                events.append(ToolResult(part.id, "unknown"))
    if any(not isinstance(part, NoticePart) for part in message.parts):
        data = {"model": message.model, "kind": "process-gone"}
        events.append(Notice("seam", f"{LOST_PROCESS} Continued by {label}.", data))
    return events
