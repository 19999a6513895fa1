"""Common fields of the vendors' requests, their limits, and the JSON schema of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from streamchat.errors import InvalidInput

Effort = Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
TopP = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Stop = Annotated[str, Field(min_length=1, max_length=500)]
Stops = Annotated[list[Stop], Field(max_length=64)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Tokens = Annotated[int, Field(ge=1, le=10_000_000)]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
ToolName = Annotated[str, Field(min_length=1, max_length=128)]


class Shape(BaseModel):
    """A part of a request. Unknown fields are ignored, and kept for responses that repeat the request."""

    model_config = ConfigDict(extra="allow")


def refuse(request: Shape, unsupported: Mapping[str, Sequence[Any]]) -> None:
    """Raise ``InvalidInput`` for a field that would change the answer and that nothing here honours.

    ``unsupported``: field -> values that change nothing, beside those that are empty.
    """
    for name, harmless in unsupported.items():
        value = (request.model_extra or {}).get(name)
        if value and value not in harmless:
            raise InvalidInput(f"{name}: not supported here. Leave it out.")


class Format(Shape):
    """The format of an answer."""

    type: str
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


def schema_of(kind: str, schema: dict[str, Any] | None, field: str) -> dict[str, Any] | None:
    """Return the requested schema; ``None`` for text. Raises ``InvalidInput`` that names the field."""
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    if kind == "json_schema" and schema:
        return schema
    raise InvalidInput(f"{field}: text, json_object, or json_schema with its schema.")
