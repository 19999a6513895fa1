"""Presets and prompts: what a person saved to begin with. Pure.

Rule: fields from a client are untrusted input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from streamchat.chat.conversation_settings import options_from_fields
from streamchat.chat.messages import repair_surrogates
from streamchat.chat.request import NewRun, RunOptions
from streamchat.chat.titles import clean_title
from streamchat.errors import InvalidInput

Kind: TypeAlias = Literal["preset", "prompt"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_NAME, MAX_TEXT, MAX_TOOLS = 60, 20_000, 200


@dataclass(frozen=True, slots=True)
class Preset:
    """A *preset*: a model with a system prompt, options and tools. A *prompt*: a text for the message box.

    ``model``: "" leaves it as it is. ``tools_off``: disabled tools and servers. ``text``: of a prompt, in which
    ``{name}`` is a placeholder.
    """

    id: str
    kind: Kind
    name: str
    model: str = ""
    options: RunOptions = field(default_factory=RunOptions)
    tools_off: tuple[str, ...] = ()
    text: str = ""

    def begin(self, new: NewRun) -> NewRun:
        """Return the run with this preset for everything that it leaves out."""
        return replace(
            new,
            model=new.model or self.model,
            options=new.options.over(self.options),
            tools_off=new.tools_off or self.tools_off,
        )


def changed_preset(preset: Preset, fields: Mapping[str, Any]) -> Preset:
    """Return the preset with these fields: ``name``, ``model``, ``system``, ``options``, ``tools_off``, ``text``.

    Raises ``InvalidInput``.
    """
    name = clean_title(str(fields.get("name", preset.name)), MAX_NAME + 1)
    if not name or len(name) > MAX_NAME:
        raise InvalidInput(f"A name has 1 to {MAX_NAME} characters.")
    options = preset.options
    if "system" in fields:
        options = RunOptions(options_from_fields({"system": fields["system"]}).system, options.options)
    if "options" in fields:
        options = RunOptions(options.system, options_from_fields(fields["options"] or {}).options)
    text = repair_surrogates(str(fields.get("text", preset.text) or ""))
    if preset.kind == "prompt" and not text.strip():
        raise InvalidInput("A prompt needs a text.")
    return replace(
        preset,
        name=name,
        model=str(fields.get("model", preset.model) or ""),
        options=options,
        tools_off=tuple(fields.get("tools_off", preset.tools_off) or ()),
        text=text,
    )
