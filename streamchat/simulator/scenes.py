"""Table of scenes: label, default text, timing and fault of each.

Data only. ``script`` turns a scene into steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamchat.simulator.tour import DIAGRAM, TOUR


@dataclass(frozen=True, slots=True)
class Scene:
    """Defaults of one simulated model.

    ``label`` and ``note`` are for the model picker. ``rate``: tokens per second, 0 for no delay. ``ttft``: seconds to
    the first token. ``n``: tokens of generated Markdown if there is no ``text``. ``at``: tokens before the fault.
    """

    label: str
    note: str
    text: str = ""
    rate: float = 40
    ttft: float = 0.25
    n: int = 400
    fault: str | None = None
    at: int = 20
    chunk: str = "token"
    reasoning: str = ""
    calls: int = 0


_SPLIT = (
    "Characters that are cut in two on their way: 😀 🚀 👩‍👩‍👧‍👦 🇪🇺 👍🏽, "
    "你好，世界, こんにちは, 안녕하세요, é (e + accent), नमस्ते, and a flag 🏴‍☠️. "
    "If you see a replacement mark (a diamond with a question mark), something upstream decoded too early."
)
_THOUGHT = (
    "The user wants to see what thinking looks like. **Plan**: say what is going on, then count the steps. "
    "A reasoning model would weigh options here; this one is scripted, so it only pretends to. "
    "Two steps are enough: explain where the thoughts went, then say that the answer is separate from them."
)


def _breaks(event: str) -> str:
    return (
        f"This answer will not reach its end. After a few words {event} What you have read so far stays, "
        "the message says what happened, and Retry asks again. Nothing here is pretended to be complete. "
        "Longer answers go the same way: the part that arrived is kept, whatever happens to the rest of it."
    )


SCENES: dict[str, Scene] = {
    "tour": Scene("Simulator: tour", "A scripted tour, no model behind it.", TOUR),
    "reasoning": Scene(
        "Simulator: reasoning",
        "Thinks before it answers.",
        "The thoughts above came as a stream of their own. They are **never** part of the answer: "
        "not of its copy, its export or its title.\n\n1. First the model thinks.\n2. Then it speaks.\n",
        reasoning=_THOUGHT,
    ),
    "diagram": Scene("Simulator: a diagram", "Draws a diagram.", DIAGRAM),
    "tools": Scene("Simulator: a tool call", "Calls one tool, then quotes its result.", calls=1),
    "parallel-tools": Scene("Simulator: parallel tool calls", "Calls three tools at once.", calls=3),
    "rate-limited": Scene("Simulator: rate limit (429)", "Asks to wait two seconds.", fault="rate-limited"),
    "overloaded": Scene("Simulator: overloaded", "Refuses before the first token.", fault="overloaded"),
    "overloaded-after": Scene(
        "Simulator: overloaded mid-answer",
        "Gives up after 20 tokens.",
        _breaks("the provider reports that it is overloaded, in the middle of the stream."),
        fault="overloaded-after",
    ),
    "bad-key": Scene("Simulator: wrong key (401)", "Refuses the key.", fault="bad-key"),
    "stall": Scene(
        "Simulator: stall",
        "Falls silent, the connection stays open.",
        _breaks("the provider falls silent: the connection stays open, only pings arrive."),
        fault="stall",
    ),
    "reset": Scene(
        "Simulator: connection reset",
        "The connection breaks after 20 tokens.",
        _breaks("the connection is reset, as when a server crashes."),
        fault="reset",
    ),
    "cut": Scene(
        "Simulator: cut off",
        "Ends without an end marker.",
        _breaks("the stream simply ends, politely and without the mark that says it is complete."),
        fault="cut",
    ),
    "refusal": Scene("Simulator: refusal", "Declines to answer.", fault="refusal", at=0),
    "content-filter": Scene(
        "Simulator: content filter",
        "Is filtered after 20 tokens.",
        _breaks("the provider's content filter steps in."),
        fault="content-filter",
    ),
    "max-tokens": Scene(
        "Simulator: token limit",
        "Is cut at its token limit.",
        _breaks("the limit of tokens is reached, and Continue is what you want."),
        fault="max-tokens",
    ),
    "context-too-long": Scene("Simulator: context too long (400)", "Says it is too much.", fault="context-too-long"),
    "bad-json": Scene(
        "Simulator: half a JSON object",
        "Sends half an event.",
        _breaks("half a JSON object arrives, and then nothing more."),
        fault="bad-json",
    ),
    "split-emoji": Scene("Simulator: split characters", "Cuts characters in two.", _SPLIT, chunk="split"),
    "replay": Scene(
        "Simulator: replay",
        "Plays a recording in the message.",
        "There is no recording in this message. Save one with `GET /api/runs/{id}/recording`, or on the page `/lab`, "
        "and send the file; `speed=2` in the message plays it twice as fast, `speed=0` at once.",
    ),
    "slow": Scene("Simulator: slow", "Three tokens a second.", rate=3, ttft=3, n=60),
    "firehose": Scene("Simulator: firehose", "4,000 tokens as fast as they go.", rate=0, ttft=0, n=4000),
}

PLAIN = "The provider answered this time."
"""Text of a scene without a text of its own, if its fault does not occur."""
DECLINED = "I can't help with that request."
