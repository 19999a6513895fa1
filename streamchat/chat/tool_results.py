"""Tool results: the view that shows one, and its text for the model.

Knows nothing of tools or pages. Rules:

* ``$view`` counts only if the whole object has the shape of that view; anything else is plain JSON.
* The model never gets the bytes of a picture as text, and of a plot a summary that is enough to discuss it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from streamchat.chat.events import Json

View: TypeAlias = Literal["text", "json", "table", "image", "plot"]

IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
PLOT_KINDS = ("line", "bar", "area", "scatter")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_MAX_POINTS = 50


def view_of(result: Json) -> View:
    """Return the view that shows this result."""
    if isinstance(result, str):
        return "text"
    if isinstance(result, Mapping):
        match result.get("$view"):
            case "table" if _is_table(result):
                return "table"
            case "image" if _is_image(result):
                return "image"
            case "plot" if _is_plot(result):
                return "plot"
    return "json"


def for_model(result: Json) -> str:
    """Return the result as text for the model."""
    match view_of(result):
        case "text":
            return result
        case "table":
            return _dumps({"columns": result["columns"], "rows": result["rows"]})
        case "image":
            name, size = result.get("name") or "without a name", len(result["data"]) * 3 // 4
            return f"A picture ({result['media_type']}, {size:,} bytes, {name}) is shown to the person."
        case "plot":
            return _plot_summary(result)
    return _dumps(result)


def _plot_summary(plot: Mapping[str, Any]) -> str:
    head = f"A {plot['kind']} chart is shown to the person."
    labels = {key: plot[key] for key in ("title", "x_label", "y_label") if plot.get(key)}
    series = []
    for line in plot["series"]:
        points = line["points"]
        summary: dict[str, Json] = {"name": line["name"], "points": points[:_MAX_POINTS]}
        if len(points) > _MAX_POINTS:
            values = [y for _, y in points]
            summary |= {"of": len(points), "least": min(values), "most": max(values)}
        series.append(summary)
    return f"{head} {_dumps({**labels, 'series': series})}"


def _dumps(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_table(data: Mapping[str, Any]) -> bool:
    columns, rows = data.get("columns"), data.get("rows")
    if not (_is_list(columns) and _is_list(rows) and all(isinstance(name, str) for name in columns or ())):
        return False
    return all(_is_list(row) and len(row) == len(columns or ()) for row in rows or ())


def _is_image(data: Mapping[str, Any]) -> bool:
    content, name = data.get("data"), data.get("name", "")
    if data.get("media_type") not in IMAGE_TYPES or not isinstance(content, str) or not isinstance(name, str):
        return False
    return len(content) % 4 == 0 and _BASE64.fullmatch(content) is not None


def _is_plot(data: Mapping[str, Any]) -> bool:
    if data.get("kind") not in PLOT_KINDS or not _is_list(data.get("series")):
        return False
    if not all(isinstance(data.get(key, ""), str) for key in ("title", "x_label", "y_label")):
        return False
    return all(_is_series(line) for line in data["series"])


def _is_series(line: Any) -> bool:
    if not isinstance(line, Mapping) or not isinstance(line.get("name"), str) or not _is_list(line.get("points")):
        return False
    return all(_is_list(point) and len(point) == 2 and _is_point(*point) for point in line["points"])


def _is_point(x: Any, y: Any) -> bool:
    return (isinstance(x, str) or _is_number(x)) and _is_number(y)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
