"""Capabilities of OpenAI's model families, for both of its APIs. Data only; the first match holds."""

from __future__ import annotations

from streamchat.providers.base import Capabilities
from streamchat.providers.model_capabilities import Family

_NO_SAMPLING = frozenset({"temperature", "top_p", "stop"})
_REASONS = Capabilities(reasoning=True, images=True, documents=True, context=400_000, refuses=_NO_SAMPLING)
_TALKS = Capabilities(images=True, documents=True, context=128_000)

OPENAI_FAMILIES = (
    Family(("gpt-5-chat", "gpt-5.1-chat", "gpt-5.2-chat", "gpt-5.3-chat", "chatgpt-"), _TALKS),
    Family(("o1-mini", "o1-preview", "o3-mini"), Capabilities(reasoning=True, context=200_000, refuses=_NO_SAMPLING)),
    Family(
        ("o1", "o3", "o4", "codex-mini"),
        Capabilities(reasoning=True, images=True, documents=True, context=200_000, refuses=_NO_SAMPLING),
    ),
    Family(("gpt-oss",), Capabilities(reasoning=True, context=131_072)),
    Family(("gpt-5", "gpt-6"), _REASONS),
    Family(("gpt-4.1",), Capabilities(images=True, documents=True, context=1_047_576)),
    Family(("gpt-4-turbo",), Capabilities(images=True, context=128_000)),
    Family(("gpt-4o",), _TALKS),
    Family(("gpt-4",), Capabilities(schema=False, context=8192)),
    Family(("gpt-3.5",), Capabilities(schema=False, context=16_385)),
)
