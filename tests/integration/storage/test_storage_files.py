"""Uploaded files on both databases: whose they are, how long they stay, and what they may take."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from streamchat.chat.files import CheckedFile, FileInfo
from streamchat.chat.messages import FilePart, ImagePart, Message, TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import NotFound
from streamchat.storage import Storage

ANNA, BERT = "anna", "bert"
PLENTY = 10**9


async def add(storage: Storage, owner: str = ANNA, content: bytes = b"\0\xff\x89PNG", name: str = "a.png") -> FileInfo:
    new = CheckedFile(name, "image/png", content, width=3, height=2)
    info = await storage.add_file(owner, new, quota=PLENTY)
    assert info is not None
    return info


async def send(storage: Storage, *files: FileInfo, key: str = "m", conversation_id: str | None = None):
    parts = (TextPart("look"), *(file.part for file in files))
    new = NewRun(client_message_id=key, model="fake:one", parts=parts, conversation_id=conversation_id)
    return await storage.begin(ANNA, new, worker="w")


def hence(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


async def test_a_file_comes_back_as_it_was(storage: Storage):
    """Its bytes, its text and what was found in it, also NUL and text of any script."""
    new = CheckedFile("Ω🎈.pdf", "application/pdf", bytes(range(256)) * 300, "text Ω\ud83d\0", pages=3, tokens=9)
    info = await storage.add_file(ANNA, new, quota=PLENTY)
    assert info is not None
    assert info == FileInfo(info.id, "Ω🎈.pdf", "application/pdf", 76_800, pages=3, tokens=9)
    assert await storage.file(ANNA, info.id) == info
    assert await storage.file_content(info) == new.content
    assert await storage.file_contents(ANNA, [info.id], [info.id]) == (
        {info.id: new.content},
        {info.id: "text Ω\ufffd"},
    )
    assert info.part == FilePart("Ω🎈.pdf", "", "application/pdf", info.id, pages=3, tokens=9)


async def test_nobody_else_has_it(storage: Storage):
    """By no way that takes an owner; a link that somebody else makes to it gives nothing."""
    file = await add(storage)
    for attempt in (storage.file(BERT, file.id), storage.delete_file(BERT, file.id), storage.file(ANNA, "no such")):
        with pytest.raises(NotFound):
            await attempt
    assert await storage.files(BERT, [file.id]) == {}
    assert await storage.file_contents(BERT, [file.id], [file.id]) == ({}, {})
    conversation = await storage.insert_conversation(BERT, "stolen", [Message("", "user", (file.part,))])
    with pytest.raises(NotFound):
        await storage.shared_file(await storage.share(BERT, conversation), file.id)
    assert await storage.file_bytes(BERT) == 0


async def test_the_quota_counts_all_files_of_a_person(storage: Storage):
    """Also of uploads at the same time; what is deleted gives its room back, and others have their own."""
    new = CheckedFile("a", "text/plain", b"x" * 400, "x")
    results = await asyncio.gather(*(storage.add_file(ANNA, new, quota=1000) for _ in range(5)))
    kept = [info for info in results if info is not None]
    assert len(kept) == 2
    assert await storage.file_bytes(ANNA) == 800
    assert await storage.add_file(BERT, new, quota=1000) is not None
    await storage.delete_file(ANNA, kept[0].id)
    assert await storage.add_file(ANNA, new, quota=1000) is not None


async def test_a_file_goes_with_its_last_message(storage: Storage):
    """A fork keeps it when the first conversation is gone; one that was never sent goes after a while."""
    sent, unsent = await add(storage), await add(storage)
    begun = await send(storage, sent)
    fork = await storage.fork(ANNA, begun.user.id)

    assert await storage.sweep_files(hence(-24)) == 0
    assert await storage.sweep_files(hence(1)) == 1
    with pytest.raises(NotFound):
        await storage.file(ANNA, unsent.id)

    await storage.discard(ANNA, begun.conversation_id)
    await storage.purge(hence(1))
    assert await storage.file_content(sent) == b"\0\xff\x89PNG"

    await storage.delete(ANNA, fork)
    assert await storage.file_bytes(ANNA) == 0
    with pytest.raises(NotFound):
        await storage.file_content(sent)


async def test_the_file_of_a_deleted_message_goes_with_the_trash(storage: Storage):
    """Before that it comes back with its message."""
    file = await add(storage)
    begun = await send(storage, file)
    await storage.delete_messages(ANNA, begun.user.id)
    await storage.purge(hence(-1))
    assert await storage.file(ANNA, file.id) == file
    await storage.purge(hence(1))
    assert await storage.file_bytes(ANNA) == 0


async def test_a_deleted_file_leaves_its_messages(storage: Storage):
    """They keep its name."""
    file = await add(storage)
    begun = await send(storage, file)
    await storage.delete_file(ANNA, file.id)
    (message,) = [
        one for one in (await storage.conversation(ANNA, begun.conversation_id)).messages if one.role == "user"
    ]
    assert message.parts[1] == ImagePart("image/png", "", "a.png", file.id, 3, 2)


async def test_a_link_shows_the_files_of_its_snapshot_only(storage: Storage):
    """Not those that came later, nor those of other conversations; and none once it was taken back."""
    early, late, elsewhere = await add(storage), await add(storage), await add(storage)
    begun = await send(storage, early)
    link = await storage.share(ANNA, begun.conversation_id)
    await send(storage, late, key="m2", conversation_id=begun.conversation_id)
    await send(storage, elsewhere, key="m3")
    assert await storage.shared_file(link, early.id) == early
    for other in (late, elsewhere):
        with pytest.raises(NotFound):
            await storage.shared_file(link, other.id)
    await storage.unshare(ANNA, begun.conversation_id)
    with pytest.raises(NotFound):
        await storage.shared_file(link, early.id)
