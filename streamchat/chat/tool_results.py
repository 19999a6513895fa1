"""Tool results: the view that shows one, its text for the model, and the pictures in it.

Knows nothing of tools or pages. Rules:

* ``$view`` counts only if the whole object has the shape of that view; anything else is plain JSON.
* A picture is the whole result, or an item of ``content``: it is found without a walk through the result.
* A picture has its bytes in base64 (``data``) on its way from a tool and to a model. In a message it is the name of a
  stored file (``file_id``); messages from before have bytes.
* A file that a client's result brings is an item (``$view: file``) until it was read; then its text is, or a picture.
* The model never gets the bytes of a picture as text, and of a plot a summary that is enough to discuss it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from streamchat.chat.events import Json
from streamchat.chat.messages import FilePart, ImagePart, Part, TextPart

View: TypeAlias = Literal["text", "json", "table", "image", "plot", "content"]

IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
PLOT_KINDS = ("line", "bar", "area", "scatter")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_FILE_ID = re.compile(r"[\w~-]{1,64}", re.ASCII)
_MAX_POINTS = 50
# Of a file that a client's result brings.
_FILE_FIELDS = ("name", "media_type", "data", "url", "file_id")


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
            case "content" if _is_content(result):
                return "content"
    return "json"


def for_model(result: Json) -> str:
    """Return the result as text for the model."""
    match view_of(result):
        case "text":
            return result
        case "table":
            return _dumps({"columns": result["columns"], "rows": result["rows"]})
        case "image":
            name = result.get("name") or "without a name"
            size = _size(result)
            return f"A picture ({result['media_type']}, {size:,} bytes, {name}) is shown to the person."
        case "content":
            return "\n".join(map(for_model, result["items"]))
        case "plot":
            return _plot_summary(result)
    return _dumps(result)


def content_of(parts: Sequence[Part]) -> Json:
    """Return a result of these texts, pictures and files: their text if they are nothing else."""
    items = [_item(part) for part in parts]
    if all(isinstance(item, str) for item in items):
        return "\n".join(map(str, items))
    return {"$view": "content", "items": items}


def files_in(result: Json) -> list[FilePart]:
    """Return the files of a result that were not read yet, in their order."""
    return [_file(item) for item in _items(result) if _is_file(item)]


def with_files(result: Json, read: Sequence[Part]) -> Json:
    """Return the result with what was read in the place of its files, in their order."""
    after = iter(read)
    return {**result, "items": [_item(next(after)) if _is_file(item) else item for item in result["items"]]}


def file_text(part: FilePart) -> str:
    """Return the text of a file with its name, so that the model can tell it from the user's own text."""
    name = part.name.replace('"', "'").replace("\n", " ")
    return f'<file name="{name}">\n{part.text}\n</file>'


def for_sight(result: Json, *, named: bool = False) -> list[str | ImagePart]:
    """Return the result for a model that sees: its pictures, and the texts between them, in their order.

    ``named``: also pictures whose bytes are not there.
    """
    out: list[str | ImagePart] = []
    for item in _items(result):
        seen = _picture(item) if _is_picture(item) else None
        if seen is not None and (seen.data or named):
            out.append(seen)
        elif out and isinstance(out[-1], str):
            out[-1] += "\n" + for_model(item)
        else:
            out.append(for_model(item))
    return out


def _item(part: Part) -> Json:
    match part:
        case TextPart(text):
            return text
        case FilePart() if part.text:
            return file_text(part)
        case FilePart():
            named = {name: getattr(part, name) for name in _FILE_FIELDS}
            return {"$view": "file", **{name: value for name, value in named.items() if value}}
        case ImagePart():
            return _view(part, {"data": part.data})
    raise TypeError(f"no part of a result: {part.type}")


def _is_file(item: Json) -> bool:
    if not isinstance(item, Mapping) or item.get("$view") != "file":
        return False
    return set(item) <= {"$view", *_FILE_FIELDS} and all(isinstance(value, str) for value in item.values())


def _file(item: Mapping[str, Any]) -> FilePart:
    fields: dict[str, Any] = {"name": "file", **{name: item[name] for name in _FILE_FIELDS if name in item}}
    return FilePart(**fields)


def pictures_in(result: Json) -> list[ImagePart]:
    """Return the pictures of a result, in their order."""
    return [_picture(item) for item in _items(result) if _is_picture(item)]


def with_pictures(result: Json, change: Callable[[ImagePart], ImagePart | str]) -> Json:
    """Return the result with other pictures, or with texts in place of them; the same object if nothing changes."""

    def changed(item: Json) -> Json:
        if not _is_picture(item):
            return item
        new = change(before := _picture(item))
        return item if new == before else new if isinstance(new, str) else _view(new, item)

    before = _items(result)
    after = [changed(item) for item in before]
    if all(new is old for new, old in zip(after, before, strict=True)):
        return result
    return after[0] if result is before[0] else {**result, "items": after}


def _items(result: Json) -> Sequence[Json]:
    return result["items"] if view_of(result) == "content" else [result]


def _is_picture(item: Json) -> bool:
    return isinstance(item, Mapping) and item.get("$view") == "image" and _is_image(item)


def _picture(view: Mapping[str, Any]) -> ImagePart:
    return ImagePart(
        view["media_type"],
        view.get("data", ""),
        view.get("name", ""),
        view.get("file_id", ""),
        view.get("width", 0),
        view.get("height", 0),
    )


def _view(picture: ImagePart, before: Mapping[str, Any]) -> Json:
    """Return the view of a picture. ``before``: its view until now, which knows its size."""
    fields = {name: getattr(picture, name) for name in ("data", "file_id", "width", "height")}
    view = {"$view": "image", "media_type": picture.media_type, "name": picture.name, "bytes": _size(before)}
    return view | {name: value for name, value in fields.items() if value}


def _size(view: Mapping[str, Any]) -> int:
    """Return the size of a picture in bytes."""
    data = view.get("data", "")
    return len(data) * 3 // 4 - data[-2:].count("=") if data else view.get("bytes", 0)


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
    content, file_id, name = data.get("data", ""), data.get("file_id", ""), data.get("name", "")
    if data.get("media_type") not in IMAGE_TYPES or not all(isinstance(text, str) for text in (content, file_id, name)):
        return False
    if not all(type(data.get(number, 0)) is int for number in ("width", "height", "bytes")):
        return False
    if file_id and _FILE_ID.fullmatch(file_id) is None:
        return False
    return bool(file_id) if not content else len(content) % 4 == 0 and _BASE64.fullmatch(content) is not None


def _is_content(data: Mapping[str, Any]) -> bool:
    items = data.get("items")
    if not _is_list(items):
        return False
    return not any(isinstance(item, Mapping) and item.get("$view") == "content" for item in items or ())


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
