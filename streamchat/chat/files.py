"""Uploaded files, as frozen values, and the parts of a message that name them.

Knows nothing of storage. Rule: a part that names a file has neither its bytes nor its text; both are put into the parts
of a request when a model is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from streamchat.chat.messages import FilePart, ImagePart, Message, Part, ToolCallPart
from streamchat.chat.tool_results import pictures_in

PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""The pictures that browsers and models read. All of them are grids of pixels: none can hold a script."""
PDF: Final = "application/pdf"
MAX_FILES = 20
"""Files in one message."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file without its content.

    ``media_type``: by its content, not by its name. ``bytes``: its size. ``width``, ``height``: of a picture, in
    pixels. ``pages``: of a PDF. ``tokens``: an estimate for its text. What a file does not have is 0.
    """

    id: str
    name: str
    media_type: str
    bytes: int
    width: int = 0
    height: int = 0
    pages: int = 0
    tokens: int = 0

    @property
    def is_picture(self) -> bool:
        """Whether it is shown as a picture."""
        return self.media_type in PICTURES

    @property
    def part(self) -> ImagePart | FilePart:
        """The part of a message that names it."""
        if self.is_picture:
            return ImagePart(self.media_type, name=self.name, file_id=self.id, width=self.width, height=self.height)
        return FilePart(self.name, "", self.media_type, self.id, pages=self.pages, tokens=self.tokens)


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file that may be stored: its fields as in ``FileInfo``, its content, and its text ("" for a picture)."""

    name: str
    media_type: str
    content: bytes
    text: str = ""
    width: int = 0
    height: int = 0
    pages: int = 0
    tokens: int = 0


def attached(parts: Iterable[Part]) -> Iterator[ImagePart | FilePart]:
    """Yield the pictures and files of these parts, also the pictures in the results of tools."""
    for part in parts:
        if isinstance(part, ImagePart | FilePart):
            yield part
        elif isinstance(part, ToolCallPart):
            yield from pictures_in(part.result)


def file_ids(parts: Iterable[Part]) -> list[str]:
    """Return the ids of the files that these parts name, each once."""
    return list(dict.fromkeys(part.file_id for part in attached(parts) if part.file_id))


def all_file_ids(messages: Iterable[Message]) -> list[str]:
    """Return the ids of the files that these messages name, each once."""
    return list(dict.fromkeys(file_id for message in messages for file_id in file_ids(message.parts)))
