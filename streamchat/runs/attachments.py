"""Uploaded files of a request: what a message names, checked at its start; their content, when a model is asked.

Knows files by the store's protocol. Rules:

* A message keeps the names of its files only, also of the pictures in the results of its tools. Their bytes and texts
  are read for each request, and only what the model reads: pictures if it sees, a PDF as it is if it takes one, the
  text otherwise.
* A file that was deleted is named to the model, nothing else.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from streamchat.chat.files import MAX_FILES, PDF, FileInfo, all_file_ids, attached, file_ids
from streamchat.chat.messages import FilePart, ImagePart, Message, Part, TextPart, ToolCallPart
from streamchat.chat.request import is_temporary
from streamchat.chat.tool_results import with_pictures
from streamchat.errors import InvalidInput, NotFound
from streamchat.providers.base import Capabilities

# Above this, vendors refuse a PDF as it is: its text is sent instead.
MAX_NATIVE_PAGES = 100


class FileStore(Protocol):
    """Where the files are: see ``storage.Storage``."""

    async def files(self, owner: str, file_ids: Collection[str]) -> Mapping[str, FileInfo]:
        """Return those of these files that exist, by id."""
        ...

    async def file_contents(
        self, owner: str, content: Collection[str], text: Collection[str]
    ) -> tuple[Mapping[str, bytes], Mapping[str, str]]:
        """Return the bytes of some files and the text of others, by id, of those that exist."""
        ...


async def with_known_files(store: FileStore, owner: str, parts: Sequence[Part], *, temporary: bool) -> Sequence[Part]:
    """Return the parts of a question with its files as they are stored. ``temporary``: the chat is.

    Raises ``NotFound``, ``InvalidInput``.
    """
    ids = file_ids(parts)
    if not ids:
        return parts
    if len(ids) > MAX_FILES:
        raise InvalidInput(f"A message may have at most {MAX_FILES} files.")
    if any(is_temporary(file_id) != temporary for file_id in ids):
        where = "for temporary chats only" if temporary else "for other than temporary chats"
        raise InvalidInput(f"This chat takes files that were uploaded {where}. Attach them again.")
    known = await store.files(owner, ids)
    if missing := [file_id for file_id in ids if file_id not in known]:
        raise NotFound(f"The attached file {missing[0][:64]} does not exist. Upload it again.")
    return [
        known[part.file_id].part if isinstance(part, ImagePart | FilePart) and part.file_id else part for part in parts
    ]


async def with_contents(
    store: FileStore, owner: str, messages: Sequence[Message], can: Capabilities
) -> tuple[Message, ...]:
    """Return the messages of a request with the content of their files, as far as the model reads it."""
    if not all_file_ids(messages):
        return tuple(messages)
    parts = [part for message in messages for part in attached(message.parts)]
    named = [part for part in parts if part.file_id]
    whole = {part.file_id for part in named if _is_sent_whole(part, can)}
    read = {part.file_id for part in named if isinstance(part, FilePart)} - whole
    contents, texts = await store.file_contents(owner, whole, read)
    encoded = await asyncio.to_thread(_base64, contents)

    def seen(picture: ImagePart) -> ImagePart | str:
        if not picture.file_id or not can.images:
            return picture
        if picture.file_id in encoded:
            return replace(picture, data=encoded[picture.file_id])
        return f"[the picture {picture.name or 'without a name'} was deleted]"

    def filled(part: Part) -> Part:
        if isinstance(part, ToolCallPart):
            result = with_pictures(part.result, seen)
            return part if result is part.result else replace(part, result=result)
        if not isinstance(part, ImagePart | FilePart) or not part.file_id:
            return part
        if part.file_id in encoded:
            return replace(part, data=encoded[part.file_id])
        if isinstance(part, FilePart) and part.file_id in texts:
            return replace(part, text=texts[part.file_id])
        if isinstance(part, ImagePart) and not can.images:
            return part
        return TextPart(f"[the file {part.name or 'without a name'} was deleted]")

    return tuple(replace(message, parts=tuple(map(filled, message.parts))) for message in messages)


def _is_sent_whole(part: ImagePart | FilePart, can: Capabilities) -> bool:
    if isinstance(part, ImagePart):
        return can.images
    return can.documents and part.media_type == PDF and part.pages <= MAX_NATIVE_PAGES


def _base64(contents: Mapping[str, bytes]) -> dict[str, str]:
    return {file_id: b64encode(content).decode() for file_id, content in contents.items()}
