"""Return values of tools, and their conversion to JSON.

Knows nothing of how tools run. Rules:

* Text and JSON values stay as they are. Tables, images and plots become objects with a key ``$view``.
* A list with images becomes a view of its items, one below the other. An image deeper inside is an item behind the
  rest, where a text stands for it.
* The limit is that of the JSON text without its images, which have a limit of their own: they are stored as files.
* A value that has no JSON form, is nested deeper than 100 levels or exceeds the limit is refused as a whole with an
  error message. The size is counted during the conversion, so a value of 50 MB costs no more than the limit.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from streamchat.chat.events import Json
from streamchat.chat.messages import repair_surrogates
from streamchat.chat.tool_results import IMAGE_TYPES
from streamchat.errors import StreamchatError

MAX_PICTURES = 20
MAX_PICTURE_BYTES = 10_000_000
"""Of all images of a result together."""
_DEPTH = 100
_DIGITS_AS_BITS = 10_000
_TEXTUAL = (UUID, Decimal, PurePath)
_TIMES = (datetime, date, time)

Number = int | float


class ToolError(StreamchatError):
    """For tools to raise: an error whose message is shown to the user and sent to the model."""

    kind = "tool"


class BadResult(StreamchatError):
    """The return value cannot be converted to JSON within the limits."""

    kind = "bad-result"


@dataclass(frozen=True, slots=True)
class Progress:
    """A progress line: ``yield Progress("2 of 5")``."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table. Rows are mappings whose keys are the columns, or sequences, which require ``columns``."""

    rows: Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]]
    columns: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image: PNG, JPEG, GIF or WebP."""

    data: bytes
    media_type: str = "image/png"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """A named data series of points ``(x, y)``; ``x`` is a number or a label."""

    name: str
    points: Sequence[tuple[Number | str, Number]]


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart of one or more series."""

    series: Sequence[Series]
    kind: Literal["line", "bar", "area", "scatter"] = "line"
    title: str = ""
    x_label: str = ""
    y_label: str = ""


def to_result(value: Any, max_bytes: int) -> Json:
    """Convert a return value to JSON.

    Raises ``BadResult`` if it has no JSON form, or has more than ``max_bytes`` as JSON text without its images.
    """
    converter = _Converter(max_bytes)
    result = converter.result(value)
    if len(json.dumps(result, ensure_ascii=False).encode()) - converter.picture_characters > max_bytes:
        raise _too_large(max_bytes)
    return result


def _too_large(max_bytes: int) -> BadResult:
    return BadResult(f"The result is larger than {max_bytes // 1024:,} KB, which is the limit of this tool.")


class _Converter:
    """Converts to JSON and counts the size. Subclasses of ``str``, ``int`` and ``float`` become the plain type."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._left = max_bytes
        self._pictures: list[Json] = []
        self.picture_characters = 0

    def result(self, value: Any) -> Json:
        if isinstance(value, Image):
            return self._picture(value)
        if isinstance(value, list | tuple) and any(isinstance(item, Image) for item in value):
            items = [self._picture(item) if isinstance(item, Image) else self.json(item, 2) for item in value]
            return self._content([*items, *self._pictures])
        converted = self.json(value, 0)
        return self._content([converted, *self._pictures]) if self._pictures else converted

    def _content(self, items: list[Json]) -> Json:
        if len([item for item in items if isinstance(item, dict) and item.get("$view") == "image"]) > MAX_PICTURES:
            raise BadResult(f"The result has more than {MAX_PICTURES} pictures.")
        return {"$view": "content", "items": items}

    def json(self, value: Any, depth: int) -> Json:
        if depth > _DEPTH:
            raise BadResult("The result is nested too deeply.")
        self._count(1)
        if isinstance(value, Enum):
            value = value.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int | float):
            return self._number(value)
        if isinstance(value, _TIMES):
            return value.isoformat()
        if isinstance(value, timedelta):
            return value.total_seconds()
        if isinstance(value, _TEXTUAL):
            return self._text(str(value))
        return self._container(value, depth)

    def _container(self, value: Any, depth: int) -> Json:
        if isinstance(value, Image):
            self._pictures.append(self._picture(value))
            return f"[picture {len(self._pictures)}]"
        if isinstance(value, Table | Plot):
            return self._view(value, depth)
        if isinstance(value, BaseModel):
            return self.json(dict(value), depth + 1)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return self.json(fields, depth + 1)
        if isinstance(value, Mapping):
            return {self._key(key): self.json(item, depth + 1) for key, item in value.items()}
        if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | memoryview):
            if isinstance(value, Sequence | set | frozenset) or hasattr(value, "__len__"):
                return [self.json(item, depth + 1) for item in value]
        raise BadResult(f"The tool returned a value of type {type(value).__name__}, which has no JSON form.")

    def _picture(self, image: Image) -> Json:
        if image.media_type not in IMAGE_TYPES:
            types = ", ".join(IMAGE_TYPES)
            raise BadResult(f"The tool returned a picture of type {image.media_type}; {types} are shown.")
        self.picture_characters += (len(image.data) + 2) // 3 * 4
        if self.picture_characters > MAX_PICTURE_BYTES * 4 / 3:
            raise BadResult(f"The pictures of the result have more than {MAX_PICTURE_BYTES // 10**6} MB.")
        text = base64.b64encode(image.data).decode()
        return {"$view": "image", "media_type": image.media_type, "data": text, "name": self._text(image.name)}

    def _view(self, value: Table | Plot, depth: int) -> Json:
        match value:
            case Table(rows, columns):
                return {"$view": "table", **self._table(rows, columns, depth)}
            case Plot(series, kind, title, x_label, y_label):
                labels = {"title": title, "x_label": x_label, "y_label": y_label}
                lines = [{"name": self._text(s.name), "points": self._points(s, depth + 2)} for s in series]
                return {"$view": "plot", "kind": kind, **{k: self._text(v) for k, v in labels.items()}, "series": lines}

    def _table(self, rows: Iterable[Any], columns: Sequence[str] | None, depth: int) -> dict[str, Json]:
        rows = list(rows)
        if columns is None:
            if not all(isinstance(row, Mapping) for row in rows):
                raise BadResult("A table of plain rows needs the names of its columns.")
            columns = list(dict.fromkeys(key for row in rows for key in row))
        names = [self._key(column) for column in columns]
        lines = []
        for row in rows:
            cells = [row.get(column) for column in columns] if isinstance(row, Mapping) else list(row)
            if len(cells) != len(names):
                raise BadResult(f"A row of the table has {len(cells)} cells for {len(names)} columns.")
            lines.append([self.json(cell, depth + 2) for cell in cells])
        return {"columns": names, "rows": lines}

    def _points(self, series: Series, depth: int) -> list[list[Json]]:
        points = []
        for x, y in series.points:
            if isinstance(y, bool) or not isinstance(y, int | float):
                raise BadResult(f"The series {series.name!r} of the plot has a value that is no number.")
            points.append([self.json(x, depth), self.json(y, depth)])
        return points

    def _key(self, key: Any) -> str:
        if not isinstance(key, str | int | float | bool | None):
            raise BadResult(f"The result has a key of type {type(key).__name__}; keys are text.")
        return self._text(str(key))

    def _text(self, text: str) -> str:
        self._count(len(text))
        return repair_surrogates(str(text))

    def _number(self, value: int | float) -> Number:
        if isinstance(value, int):
            if value.bit_length() > _DIGITS_AS_BITS:
                raise BadResult("The result holds a number with thousands of digits.")
            return int(value)
        if not math.isfinite(value):
            raise BadResult(f"The result holds {value}, which has no JSON form.")
        return float(value)

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _too_large(self._max)
