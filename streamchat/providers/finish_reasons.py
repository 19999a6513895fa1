"""Normalises the finish reasons of servers. Knows no vendor, no I/O.

A normalised reason is ours (``stop``, ``length``, ``content-filter``, ``refusal``, ``tool-calls``, ``pause``),
``broken`` if the server reports that generation failed, and otherwise the server's own: an unknown reason is no error.
"""

from __future__ import annotations

import re

# The first match holds. Reasons are compared in lower case, with "_" as the separator.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (reason, re.compile(pattern))
    for reason, pattern in (
        ("pause", r"pause(_turn)?"),
        ("refusal", r"refusal|refused"),
        (
            "content-filter",
            r".*filter.*|(image_)?safety|.*_safety|recitation|.*blocklist|blocked?|prohibited.*|spii|sensitive.*"
            r"|moderat.*|guardrail.*|model_armor|policy_violation|content_policy.*",
        ),
        (
            "broken",
            r".*error.*|.*fail(ed|ure)?|malformed.*|abort(ed)?|cancel(l?ed)?|.*time_?out|insufficient_.*_resource|interrupt(ed)?",
        ),
        ("length", r".*length.*|max(imum)?_.*|.*token_limit.*|.*context_window.*|.*context_size.*|truncated"),
        ("tool-calls", r"(tool|function)_?(call|use|invocation)s?|tools?"),
        ("stop", r"stop.*|.*_stop|eos.*|end(_.*)?|.*_end|complete(d)?|done|finish(ed)?|normal|success"),
    )
)
# Characters: bounds both the time of the comparison and a reason of the server's own.
MAX_REASON = 200
_TOOL_TURNS = ("stop", "tool-calls", "pause", "length", "content-filter", "refusal", "broken")


def sort_reason(word: str) -> str:
    """Return the normalised reason; an unknown one unchanged."""
    word = word[:MAX_REASON]
    plain = re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_")
    return next((reason for reason, pattern in _PATTERNS if pattern.fullmatch(plain)), word)


def is_unknown(reason: str) -> bool:
    """Return whether a normalised reason is the server's own."""
    return reason not in _TOOL_TURNS
