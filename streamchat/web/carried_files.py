"""Uploaded files inside of an exported conversation: their bytes in base64, in ``data`` of the parts that name them."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from streamchat.chat.files import all_file_ids
from streamchat.chat.messages import FilePart, ImagePart, Message, Part
from streamchat.runs.attachments import FileStore
from streamchat.wiring.request_context import RequestContext, decoded


async def with_data(store: FileStore, owner: str, messages: Sequence[dict[str, Any]]) -> None:
    """Put the bytes of a person's files into these messages (as ``chat.wire.message_to_wire`` returns them)."""
    parts = [part for message in messages for part in message["parts"] if part.get("file_id")]
    for file_id in dict.fromkeys(part["file_id"] for part in parts):
        contents, _ = await store.file_contents(owner, [file_id], [])
        if file_id in contents:
            data = (await asyncio.to_thread(b64encode, contents[file_id])).decode()
            for part in parts:
                if part["file_id"] == file_id:
                    part["data"] = data


async def with_stored_files(context: RequestContext, messages: Sequence[Message]) -> list[Message]:
    """Store the files that these messages carry, and return the messages that name them.

    A file that the caller has already is not stored again. Raises ``InvalidInput``, as an upload does.
    """
    known = await context.store.files(context.owner, all_file_ids(messages))
    stored: dict[str, Part] = {file_id: info.part for file_id, info in known.items()}
    result = []
    for message in messages:
        parts = []
        for part in message.parts:
            if isinstance(part, ImagePart | FilePart) and part.file_id:
                if part.file_id not in stored and part.data:
                    stored[part.file_id] = (await context.upload(decoded(part.data), part.name)).part
                part = stored.get(part.file_id, replace(part, data=""))
            parts.append(part)
        result.append(replace(message, parts=await context.stored_parts(parts)))
    return result
