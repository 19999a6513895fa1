"""``/api/presets``: presets (a model with its prompt, options and tools) and prompts (texts for the message box).

Knows the store. Rule: the model of a preset need not be offered now; that is looked at when it is used.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import Response

from streamchat.chat.conversation_settings import options_to_fields
from streamchat.chat.presets import MAX_TEXT, MAX_TOOLS, Kind, Preset, changed_preset
from streamchat.web.dependencies import Context
from streamchat.web.run_routes import json_response
from streamchat.web.schemas import PROBLEMS, KeptOptions, RequestBody, SystemPrompt

router = APIRouter(prefix="/api/presets", tags=["presets"])
PresetId = Annotated[str, Path(description="The id of a preset or a prompt.")]
CHANGES = PROBLEMS(400, 403, 404, 408, 413, 415, 422, 429, 503)
Names = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=200)]], Field(max_length=MAX_TOOLS)]


class PresetChange(RequestBody):
    """Changes of a preset or a prompt. ``tools_off``: disabled tools and servers. ``text``: of a prompt."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] = ""
    model: Annotated[str, StringConstraints(max_length=200)] = ""
    system: SystemPrompt | None = None
    options: KeptOptions | None = None
    tools_off: Names = []
    text: Annotated[str, StringConstraints(max_length=MAX_TEXT)] = ""


class PresetIn(PresetChange):
    """A preset, or a prompt. ``conversation_id``: take what is left out from this conversation."""

    kind: Kind = "preset"
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    conversation_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None


class PresetOut(BaseModel):
    """A preset or a prompt. ``model``: "" leaves it as it is."""

    id: str
    kind: Kind
    name: str
    model: str
    system: str | None
    options: KeptOptions
    tools_off: list[str]
    text: str


class PresetList(BaseModel):
    """All presets and prompts, by name."""

    presets: list[PresetOut]


def preset_json(preset: Preset) -> dict[str, Any]:
    """Return a preset in the form of ``PresetOut``."""
    options = options_to_fields(preset.options)
    return {
        "id": preset.id,
        "kind": preset.kind,
        "name": preset.name,
        "model": preset.model,
        "system": options.pop("system", None),
        "options": options,
        "tools_off": list(preset.tools_off),
        "text": preset.text,
    }


@router.get("", response_model=PresetList, responses=PROBLEMS(429, 503))
async def presets(context: Context) -> Response:
    """All presets and prompts, by name."""
    return json_response({"presets": [preset_json(one) for one in await context.store.presets.list(context.owner)]})


@router.post("", status_code=201, response_model=PresetOut, responses={200: {"model": PresetOut}} | CHANGES)
async def save(body: PresetIn, context: Context) -> Response:
    """Save a preset or a prompt. The same kind and name again replaces what it has (200)."""
    fields = body.model_dump(exclude_unset=True, exclude={"kind", "conversation_id"})
    preset = Preset("", body.kind, "")
    if body.conversation_id is not None:
        about = await context.store.about(context.owner, body.conversation_id)
        off = (await context.store.choices(context.owner, body.conversation_id)).off
        preset = Preset("", body.kind, "", about.settings.model, about.settings.options, tuple(sorted(off)))
    stored, is_new = await context.store.presets.save(context.owner, changed_preset(preset, fields))
    return json_response(preset_json(stored), 201 if is_new else 200)


@router.patch("/{preset_id}", response_model=PresetOut, responses=CHANGES)
async def change(preset_id: PresetId, body: PresetChange, context: Context) -> Response:
    """Change a preset or a prompt. What is left out stays."""
    preset = await context.store.presets.get(context.owner, preset_id)
    changed = changed_preset(preset, body.model_dump(exclude_unset=True))
    await context.store.presets.change(context.owner, changed)
    return json_response(preset_json(changed))


@router.delete("/{preset_id}", response_model=PresetOut, responses=CHANGES)
async def delete(preset_id: PresetId, context: Context) -> Response:
    """Delete a preset or a prompt, and return what it was. Conversations that began with it stay as they are."""
    preset = await context.store.presets.get(context.owner, preset_id)
    await context.store.presets.delete(context.owner, preset_id)
    return json_response(preset_json(preset))
