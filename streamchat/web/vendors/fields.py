"""What the vendors' requests have in common: fields, their bounds, and the JSON schema of an answer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from streamchat.errors import InvalidInput

Effort = Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
Tokens = Annotated[int, Field(ge=1, le=10_000_000)]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
ToolName = Annotated[str, Field(min_length=1, max_length=128)]


class Shape(BaseModel):
    """A part of a request. Fields that are not named are ignored, and kept for those who repeat the request."""

    model_config = ConfigDict(extra="allow")


class Format(Shape):
    """How an answer is to be formed."""

    type: str
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


def schema_of(kind: str, schema: dict[str, Any] | None, field: str) -> dict[str, Any] | None:
    """The schema that is asked for; ``None`` for text. Raises ``InvalidInput`` that names the field."""
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    if kind == "json_schema" and schema:
        return schema
    raise InvalidInput(f"{field}: text, json_object, or json_schema with its schema.")
