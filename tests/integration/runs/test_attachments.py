"""Files of a question: what a message keeps of them, and what a model gets."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.files import MAX_FILES, CheckedFile
from streamchat.chat.messages import FilePart, ImagePart, TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import InvalidInput, NotFound
from streamchat.providers.base import Capabilities, ModelInfo
from streamchat.providers.catalog import Catalog, Source
from tests.integration.runs.conftest import QueueProvider, World, make_world

PICTURE = CheckedFile("cat.png", "image/png", b"\x89PNG", width=3, height=2)
DOCUMENT = CheckedFile("a.pdf", "application/pdf", b"%PDF-1.4", "its text", pages=2, tokens=3)
LONG = CheckedFile("long.pdf", "application/pdf", b"%PDF-1.4", "long text", pages=500, tokens=3)
NOTES = CheckedFile("notes.txt", "text/plain", b"notes", "notes", tokens=2)


async def ask(world: World, *files: str, owner: str = "local", key: str = "m", conversation_id: str | None = None):
    parts = (TextPart("look"), *(FilePart("", file_id=file_id) for file_id in files))
    new = NewRun(client_message_id=key, parts=parts, model=world.model, conversation_id=conversation_id)
    started = await world.runs.start(owner, new)
    world.provider.say(TextDelta("I see."), Finished())
    await world.ended(started.run_id)
    return started


async def stored(world: World, *new: CheckedFile) -> list[str]:
    infos = [await world.store.add_file("local", one, quota=10**9) for one in new]
    return [info.id for info in infos if info]


def catalog(can: Capabilities) -> tuple[Catalog, QueueProvider]:
    provider = QueueProvider()
    return Catalog([Source("fake", provider, [ModelInfo("fake:one", "Fake", capabilities=can)])]), provider


@pytest.mark.parametrize("sees", [True, False])
async def test_a_model_gets_what_it_reads(tmp_path: Path, sees: bool):
    """Pictures and PDFs as they are, or the text of a PDF; the same in the next round, from what is stored."""
    models, provider = catalog(Capabilities(images=sees, documents=sees))
    async with make_world(tmp_path, catalog=models) as world:
        world.provider = provider
        picture, document, long, notes = await stored(world, PICTURE, DOCUMENT, LONG, NOTES)
        started = await ask(world, picture, document, long, notes)
        await ask(world, key="again", conversation_id=started.conversation_id)

    kept = started.user.parts
    assert kept[1] == ImagePart("image/png", "", "cat.png", picture, 3, 2)
    assert kept[2] == FilePart("a.pdf", "", "application/pdf", document, pages=2, tokens=3)
    for request in provider.requests:
        _, seen, read, too_long, text = request.messages[0].parts
        assert isinstance(seen, ImagePart)
        assert seen.data == (b64encode(b"\x89PNG").decode() if sees else "")
        assert isinstance(read, FilePart)
        assert (read.data, read.text) == ((b64encode(b"%PDF-1.4").decode(), "") if sees else ("", "its text"))
        assert isinstance(too_long, FilePart)
        assert (too_long.data, too_long.text) == ("", "long text")
        assert isinstance(text, FilePart)
        assert text.text == "notes"
    assert len(provider.requests) == 2


async def test_a_deleted_file_is_named_to_the_model(world: World):
    """The conversation goes on without it."""
    (notes,) = await stored(world, NOTES)
    started = await ask(world, notes)
    await world.store.delete_file("local", notes)
    await ask(world, key="again", conversation_id=started.conversation_id)
    assert world.provider.requests[-1].messages[0].parts[1] == TextPart("[the file notes.txt was deleted]")


async def test_only_ones_own_files_can_be_sent(world: World):
    """Somebody else's, and one that does not exist, are the same; nothing is stored then."""
    (notes,) = await stored(world, NOTES)
    for owner, file_id in (("bert", notes), ("local", "nothing")):
        with pytest.raises(NotFound, match="Upload it again"):
            await ask(world, file_id, owner=owner)
        assert await world.store.conversations(owner) == []


async def test_a_message_has_a_number_of_files(world: World):
    """More are refused with a sentence."""
    files = await stored(world, *[NOTES] * (MAX_FILES + 1))
    with pytest.raises(InvalidInput, match=f"at most {MAX_FILES} files"):
        await ask(world, *files)
    started = await ask(world, *files[:MAX_FILES])
    assert len(started.user.parts) == MAX_FILES + 1


async def test_a_file_takes_room_in_the_window(tmp_path: Path):
    """An old question with a long file is left out before a short one would be."""
    models, provider = catalog(Capabilities(context=2000))
    async with make_world(tmp_path, catalog=models) as world:
        world.provider = provider
        (long,) = await stored(world, CheckedFile("b.txt", "text/plain", b"b", "b" * 6000, tokens=2000))
        started = await ask(world, long)
        await ask(world, key="again", conversation_id=started.conversation_id)
    assert [message.role for message in provider.requests[1].messages] == ["user"]
