"""Uploaded files inside of an exported conversation: their bytes in base64, in ``data`` beside each ``file_id``."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from streamchat.chat.files import all_file_ids, attached
from streamchat.chat.messages import FilePart, ImagePart, Message, Part, ToolCallPart
from streamchat.chat.tool_results import pictures_in, with_pictures
from streamchat.runs.attachments import FileStore
from streamchat.wiring.request_context import RequestContext
from streamchat.wiring.uploads import decoded


async def with_data(store: FileStore, owner: str, messages: Sequence[dict[str, Any]]) -> None:
    """Put the bytes of a person's files into these messages (as ``chat.wire.message_to_wire`` returns them)."""
    parts = [part for message in messages for part in message["parts"]]
    calls = [part for part in parts if part["type"] == ToolCallPart.type and "result" in part]
    named = [part["file_id"] for part in parts if part.get("file_id")]
    named += [picture.file_id for call in calls for picture in pictures_in(call["result"]) if picture.file_id]
    encoded: dict[str, str] = {}
    for file_id in dict.fromkeys(named):
        contents, _ = await store.file_contents(owner, [file_id], [])
        if file_id in contents:
            encoded[file_id] = (await asyncio.to_thread(b64encode, contents[file_id])).decode()
    for part in parts:
        if part.get("file_id") in encoded:
            part["data"] = encoded[part["file_id"]]
    for call in calls:
        call["result"] = with_pictures(
            call["result"], lambda picture: replace(picture, data=encoded.get(picture.file_id, picture.data))
        )


async def with_stored_files(context: RequestContext, messages: Sequence[Message]) -> list[Message]:
    """Store the files that these messages carry, and return the messages that name them.

    A file that the caller has already is not stored again. Raises ``InvalidInput``, as an upload does.
    """
    known = await context.store.files(context.owner, all_file_ids(messages))
    stored: dict[str, ImagePart | FilePart] = {file_id: info.part for file_id, info in known.items()}

    def named(part: Part) -> Part:
        if isinstance(part, ToolCallPart):
            return replace(part, result=with_pictures(part.result, picture))
        if isinstance(part, ImagePart | FilePart) and part.file_id:
            return stored.get(part.file_id, replace(part, data=""))
        return part

    def picture(part: ImagePart) -> ImagePart:
        new = stored.get(part.file_id)
        return new if isinstance(new, ImagePart) else replace(part, data="") if part.file_id else part

    result = []
    for message in messages:
        for part in attached(message.parts):
            if part.file_id and part.file_id not in stored and part.data:
                stored[part.file_id] = (await context.upload(decoded(part.data), part.name)).part
        result.append(replace(message, parts=await context.stored_parts([named(part) for part in message.parts])))
    return result
