"""Files that come in: checked by their content, within the quota of their owner, stored.

Knows the store; what a file is, ``files/`` decides. Rules:

* A picture within a message or a tool's result is stored as a file, once however often it is sent, and named there.
* So are a PDF, and what is at an address that a client names, if it is public. In the result of a client's tool, files
  are read: their text is in the result.
* A tool has run when its result comes: a picture of it that cannot be stored becomes a text that says why, and nothing
  else of the result is lost.
* A database that is away for a moment is waited for.
"""

from __future__ import annotations

import asyncio
import binascii
import logging
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from urllib.parse import urlsplit

import httpx2

from streamchat.backoff import Backoff
from streamchat.chat.events import Json
from streamchat.chat.files import FileInfo
from streamchat.chat.messages import FilePart, ImagePart, Part, ToolCallPart
from streamchat.chat.request import is_temporary
from streamchat.chat.tool_results import files_in, pictures_in, with_files, with_pictures
from streamchat.errors import InvalidInput, NotFound, StorageError
from streamchat.files.checks import WHAT_IS_READ, TooLarge, WrongType, check_file
from streamchat.files.pictures import is_heic, read_picture
from streamchat.settings import Settings
from streamchat.storage import Storage
from streamchat.tools import guarded_fetch
from streamchat.tools.ssrf_guard import Policy, Resolver, is_public, look_up
from streamchat.tools.values import ToolError

# For so long a tool's result waits for a database that is away.
STORE_SECONDS = 10.0
FETCH_SECONDS = 20.0
_HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; streamchat)", "Accept": "*/*"}
logger = logging.getLogger(__name__)


class Uploads:
    """The files of all owners."""

    def __init__(
        self, settings: Settings, store: Storage, allowed: Policy = is_public, resolve: Resolver = look_up
    ) -> None:
        """``allowed``: the addresses that are fetched from; ``resolve``: the look-up of host names."""
        self.allowed = allowed
        self.resolve = resolve
        self._largest = settings.file_bytes
        self._quota = settings.files_per_owner
        self._store = store

    async def add(
        self, owner: str, content: bytes, name: str, *, temporary: bool = False, reuse: bool = False, message: str = ""
    ) -> FileInfo:
        """Store a file. ``temporary``: in memory, for a temporary chat. ``reuse``: not again what the owner has.

        ``message``: the id of the message that has it. Raises ``InvalidInput`` for one that cannot be attached, and if
        the owner's take too much.
        """
        if len(content) > self._largest:
            raise TooLarge(f"This file is larger than {megabytes(self._largest)}.")
        # Before the check of the content, which may take long; the store counts again.
        if not reuse and await self._store.file_bytes(owner) + len(content) > self._quota:
            raise _full(self._quota)
        info = await self._store.add_file(
            owner,
            await check_file(content, name),
            quota=self._quota,
            temporary=temporary,
            reuse=reuse,
            message=message,
        )
        if info is None:
            raise _full(self._quota)
        return info

    async def stored_parts(self, owner: str, parts: Sequence[Part], *, temporary: bool = False) -> tuple[Part, ...]:
        """Store the pictures and files that these parts carry or point to, and return parts that name them.

        Raises ``InvalidInput`` for what cannot be attached or fetched, ``NotFound``, and as ``add``.
        """
        result: list[Part] = []
        for part in parts:
            if isinstance(part, ToolCallPart) and (files := files_in(part.result)):
                read = [await self._read(owner, one, temporary) for one in files]
                part = replace(part, result=with_files(part.result, read))
            if isinstance(part, FilePart) and (part.url or part.data) and not part.file_id:
                content = await self._content(part)
                part = (await self.add(owner, content, part.name, temporary=temporary, reuse=True)).part
            elif isinstance(part, ImagePart) and part.data and not part.file_id:
                part = await self._picture(owner, part, temporary, "")
            elif isinstance(part, ToolCallPart) and pictures_in(part.result):
                part = replace(part, result=await self._stored_result(owner, part.result, temporary))
            result.append(part)
        return tuple(result)

    async def _content(self, part: FilePart) -> bytes:
        """Return the bytes of a file in a client's request. Raises ``InvalidInput``."""
        if not part.url:
            return await asyncio.to_thread(decoded, part.data)
        host = urlsplit(part.url).hostname or "this address"
        try:
            fetched = await guarded_fetch.fetch(
                part.url,
                max_bytes=self._largest,
                seconds=FETCH_SECONDS,
                headers=_HEADERS,
                allowed=self.allowed,
                resolve=self.resolve,
            )
        except (TimeoutError, httpx2.TimeoutException):
            raise InvalidInput(f"An attachment was not fetched: {host} did not answer in time.") from None
        except httpx2.HTTPError as error:
            why = guarded_fetch.reason_of(error)
            raise InvalidInput(f"An attachment was not fetched from {host}: {why}.") from None
        except ToolError as error:
            raise InvalidInput(f"An attachment was not fetched from {host}. {error.user_message}") from None
        return fetched.body

    async def _read(self, owner: str, part: FilePart, temporary: bool) -> Part:
        """Return a file of a tool's result as a picture that is stored, or as a file with its text."""
        if part.file_id:
            info = (await self._store.files(owner, [part.file_id])).get(part.file_id)
            if info is None:
                raise NotFound(f"The attached file {part.file_id} does not exist. Upload it again.")
            if info.is_picture:
                return info.part
            _, texts = await self._store.file_contents(owner, [], [info.id])
            return FilePart(info.name, texts.get(info.id, "") or " ", info.media_type)
        content = await self._content(part)
        if len(content) > self._largest:
            raise TooLarge(f"This file is larger than {megabytes(self._largest)}.")
        checked = await check_file(content, part.name)
        if checked.text:
            return FilePart(checked.name, checked.text, checked.media_type)
        return (await self.add(owner, content, part.name, temporary=temporary, reuse=True)).part

    async def stored_result(self, owner: str, run_id: str, result: Json) -> Json:
        """Store the pictures in the result of a tool of this run, and return the result that names them."""
        # A tool names no files: it could name those of other conversations.
        unnamed = with_pictures(result, lambda picture: replace(picture, file_id=""))
        return await self._stored_result(owner, unnamed, is_temporary(run_id), run_id)

    async def _stored_result(self, owner: str, result: Json, temporary: bool, message: str = "") -> Json:
        stored = [
            picture if picture.file_id else await self._stored_picture(owner, picture, temporary, message)
            for picture in pictures_in(result)
        ]
        after = iter(stored)
        return with_pictures(result, lambda _: next(after))

    async def _stored_picture(self, owner: str, picture: ImagePart, temporary: bool, message: str) -> ImagePart | str:
        backoff, until = Backoff(base=0.1, cap=1.0, draw=max), monotonic() + STORE_SECONDS
        while True:
            try:
                return await self._picture(owner, picture, temporary, message)
            except InvalidInput as error:
                return f"[a picture that was not stored: {error.user_message}]"
            except StorageError as error:
                if not error.transient or monotonic() > until:
                    logger.warning("a picture of a tool was not stored: %s", error)
                    return f"[a picture that was not stored: {error.user_message}]"
            await asyncio.sleep(backoff.next_pause())

    async def _picture(self, owner: str, picture: ImagePart, temporary: bool, message: str) -> ImagePart:
        content = await asyncio.to_thread(decoded, picture.data)
        if not (content and (read_picture(content) or is_heic(content))):
            raise WrongType(f"An attachment is not a picture. {WHAT_IS_READ}")
        name = picture.name or "picture"
        info = await self.add(owner, content, name, temporary=temporary, reuse=True, message=message)
        assert isinstance(part := info.part, ImagePart)
        return part


def decoded(data: str) -> bytes:
    """Return the bytes of an attachment. Raises ``InvalidInput``."""
    try:
        return b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("An attachment is damaged: it is not valid base64.") from None


def megabytes(size: int) -> str:
    """Return a number of bytes for a person: ``20 MB``."""
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"


def _full(quota: int) -> TooLarge:
    return TooLarge(
        f"Your files would take more than {megabytes(quota)}. Delete conversations with files that you do not need."
    )
