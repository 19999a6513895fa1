"""The settings of a conversation: what its next answer is generated with.

Pure: knows nothing of storage or pages. Rule: fields from a client are untrusted input.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamchat.chat.messages import repair_surrogates
from streamchat.chat.request import Options, RunOptions
from streamchat.errors import InvalidInput

MAX_SYSTEM = 200_000
MAX_TOKENS = 10_000_000
MAX_TEMPERATURE = 2
EFFORT = re.compile(r"[a-z]{1,20}")


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    """``model``: its id; "" if nothing was answered yet. ``options``: system prompt and generation options."""

    model: str = ""
    options: RunOptions = field(default_factory=RunOptions)


def options_from_fields(fields: Mapping[str, Any]) -> RunOptions:
    """Return the options of ``{"system", "temperature", "max_tokens", "reasoning_effort", "web_search"}``.

    What is left out or ``None`` is the model's default. Raises ``InvalidInput``.
    """
    system, temperature = fields.get("system"), fields.get("temperature")
    max_tokens, effort = fields.get("max_tokens"), fields.get("reasoning_effort")
    web_search = fields.get("web_search")
    if not (system is None or (isinstance(system, str) and len(system) <= MAX_SYSTEM)):
        raise InvalidInput(f"A system prompt has at most {MAX_SYSTEM:,} characters.")
    if not (temperature is None or (_is_number(temperature) and 0 <= temperature <= MAX_TEMPERATURE)):
        raise InvalidInput(f"The temperature is a number from 0 to {MAX_TEMPERATURE}.")
    if not (max_tokens is None or (_is_number(max_tokens, int) and 1 <= max_tokens <= MAX_TOKENS)):
        raise InvalidInput("The maximum length is a number of tokens, at least 1.")
    if not (effort is None or (isinstance(effort, str) and EFFORT.fullmatch(effort))):
        raise InvalidInput("The reasoning effort is a word such as low or high.")
    if not (web_search is None or isinstance(web_search, bool)):
        raise InvalidInput("The search of the web is on or off: true or false.")
    prompt = repair_surrogates(system) if system and system.strip() else None
    return RunOptions(prompt, Options(temperature, max_tokens, effort, web_search=web_search))


def options_to_fields(options: RunOptions) -> dict[str, Any]:
    """Return the fields of ``options_from_fields`` that are set."""
    values = options.options
    fields = {
        "system": options.system,
        "temperature": values.temperature,
        "max_tokens": values.max_tokens,
        "reasoning_effort": values.reasoning_effort,
        "web_search": values.web_search,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _is_number(value: object, kind: type | tuple[type, ...] = (int, float)) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
