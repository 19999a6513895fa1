"""Branches, deletion with undo, the settings of a conversation, its place in the list, and links to snapshots."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from streamchat.chat.messages import TextPart
from streamchat.chat.request import ROOT, NewRun, Options, RunOptions
from streamchat.errors import InvalidInput, NotFound
from streamchat.storage import Begun, Storage
from streamchat.storage.tables import now
from tests.integration.storage.test_storage_cost import long_conversation, statements
from tests.support.long import LONG


async def turn(storage: Storage, key: str, to: str | None = None, **more: object) -> Begun:
    new = NewRun(conversation_id=to, client_message_id=key, parts=[TextPart(key)], model="m:x", **more)  # pyrefly: ignore[bad-argument-type]
    begun = await storage.begin("local", new, worker="w")
    await storage.end(replace(begun.answer, status="finished", parts=(TextPart(f"re {key}"),)), 1)
    return begun


async def again(storage: Storage, run_id: str, key: str) -> Begun:
    arguments = {"client_message_id": key, "model": "m:y", "worker": "w", "continue_partial": False}
    begun = await storage.begin_again("local", message_id=run_id, **arguments)
    await storage.end(replace(begun.answer, status="finished", parts=(TextPart(f"re {key}"),)), 1)
    return begun


async def shown(storage: Storage, conversation_id: str) -> list[str]:
    """The texts of the active branch, which reads the same as a whole and in parts."""
    whole = await storage.conversation("local", conversation_id)
    page = await storage.branch_page("local", conversation_id, limit=100)
    assert page.messages == whole.messages
    assert page.siblings == whole.siblings
    return [message.text for message in whole.messages]


async def test_a_branch_is_chosen_by_any_message_of_it(storage: Storage) -> None:
    """An edited question and an answer given again are versions; choosing one shows the newest end behind it."""
    one = await turn(storage, "one")
    two = await turn(storage, "two", one.conversation_id)
    edited = await turn(storage, "zwo", one.conversation_id, parent_id=one.run_id)
    other = await again(storage, edited.run_id, "again")
    assert await shown(storage, one.conversation_id) == ["one", "re one", "zwo", "re again"]
    siblings = (await storage.conversation("local", one.conversation_id)).siblings
    assert siblings == {
        edited.user.id: (two.user.id, edited.user.id),
        other.run_id: (edited.run_id, other.run_id),
    }
    assert await storage.select_branch("local", two.user.id) == one.conversation_id
    assert await shown(storage, one.conversation_id) == ["one", "re one", "two", "re two"]
    await storage.select_branch("local", edited.user.id)
    assert await shown(storage, one.conversation_id) == ["one", "re one", "zwo", "re again"]
    await storage.select_branch("local", edited.run_id)
    await storage.select_branch("local", one.run_id)  # it is on the active branch: nothing changes
    assert await shown(storage, one.conversation_id) == ["one", "re one", "zwo", "re zwo"]


async def compared(storage: Storage, key: str, to: str | None = None) -> list[Begun]:
    """Three answers to one question, side by side, which have ended."""
    new = NewRun(conversation_id=to, client_message_id=key, parts=[TextPart(key)], model="m:a", inherit=True)
    begun = await storage.begin_compared("local", new, ["m:a", "m:b", "m:c"], worker="w")
    for one in begun:
        text = TextPart(f"re {key} by {one.answer.model}")
        await storage.end(replace(one.answer, status="finished", parts=(text,)), 1)
    return begun


async def test_answers_stand_side_by_side_until_one_is_kept(storage: Storage) -> None:
    """A page has all of them in place of the last one, also a short one; the kept one's model answers next."""
    one = await turn(storage, "one")
    where = one.conversation_id
    begun = await compared(storage, "two", where)
    ids = tuple(answer.run_id for answer in begun)
    page = await storage.branch_page("local", where, limit=100)
    assert page.ids == (one.user.id, one.run_id, begun[0].user.id, *ids)
    assert page.compared == ids
    assert [message.text for message in page.messages[3:]] == [f"re two by m:{name}" for name in "abc"]
    assert page.siblings == {answer: ids for answer in ids}
    short = await storage.branch_page("local", where, limit=1)
    assert (short.ids, short.compared, short.earlier) == (ids, ids, True)
    known = await storage.branch_page("local", where, limit=100, known=page.ids)
    assert (known.ids, known.messages) == (page.ids, ())
    assert [m.text for m in (await storage.conversation("local", where)).messages][-1] == "re two by m:a"
    assert await storage.compared_with("local", ids[2]) == ids
    assert await storage.compared_with("local", one.run_id) == ()
    # A link and a copy show what the branch ends in.
    shared = await storage.shared(await storage.share("local", where), limit=100)
    assert (len(shared.ids), shared.compared) == (4, ())
    await storage.select_branch("local", ids[1])
    page = await storage.branch_page("local", where, limit=100)
    assert (page.ids[3:], page.compared, page.settings.model) == ((ids[1],), (), "m:b")
    assert await storage.compared_with("local", ids[2]) == ()
    await storage.select_branch("local", ids[2])
    assert await shown(storage, where) == ["one", "re one", "two", "re two by m:c"]
    assert (await storage.about("local", where)).settings.model == "m:b"


async def test_answers_side_by_side_are_begun_once(storage: Storage) -> None:
    """The same request several times at once is one question with the same answers; a taken id begins none of them."""
    new = NewRun(client_message_id="c", parts=[TextPart("which?")], model="m:a")
    models = ["m:a", "m:b", "m:c"]
    attempts = await asyncio.gather(*(storage.begin_compared("local", new, models, worker="w") for _ in range(4)))
    assert len({tuple(one.run_id for one in begun) for begun in attempts}) == 1
    assert sum(begun[0].created for begun in attempts) == 1
    assert [one.answer.model for one in attempts[-1]] == models
    (row,) = await storage.conversations("local")
    assert len((await storage.branch_page("local", row.id, limit=100)).ids) == 4


async def test_one_of_the_answers_side_by_side_is_given_again(storage: Storage) -> None:
    """It takes the place of the old one, while the others are in progress. Another branch hides them, and back shows
    them again; a question after one of them keeps it."""
    one = await turn(storage, "one")
    where = one.conversation_id
    new = NewRun(conversation_id=where, client_message_id="c", parts=[TextPart("two")], model="m:a")
    begun = await storage.begin_compared("local", new, ["m:a", "m:b"], worker="w", exclusive=True)
    await storage.end(replace(begun[0].answer, status="failed"), 1)
    arguments = {"model": "m:a", "worker": "w", "continue_partial": False, "exclusive": True}
    with pytest.raises(InvalidInput, match="being written"):
        await storage.begin_again("local", message_id=begun[1].run_id, client_message_id="x", **arguments)
    with pytest.raises(InvalidInput):
        await storage.begin_again("local", message_id=one.run_id, client_message_id="x", **arguments)
    fresh = await storage.begin_again("local", message_id=begun[0].run_id, client_message_id="a", **arguments)
    expected = (fresh.run_id, begun[1].run_id)
    assert (await storage.branch_page("local", where, limit=100)).compared == expected
    for answer in (fresh.answer, begun[1].answer):
        await storage.end(replace(answer, status="finished", parts=(TextPart("re"),)), 1)
    edited = await turn(storage, "zwo", where, parent_id=one.run_id)
    assert (await storage.branch_page("local", where, limit=100)).compared == ()
    await storage.select_branch("local", begun[0].user.id)
    assert (await storage.branch_page("local", where, limit=100)).compared == expected
    assert edited.user.id in (await storage.branch_page("local", where, limit=100)).siblings[begun[0].user.id]
    leaf = (await storage.conversation("local", where)).messages[-1].id
    following = await turn(storage, "three", where)
    assert following.history[-2].id == leaf
    assert (await storage.branch_page("local", where, limit=100)).compared == ()
    assert await storage.compared_with("local", leaf) == ()


async def test_one_message_is_deleted_and_comes_back(storage: Storage) -> None:
    """The others keep their places, the model gets none of it, and a question asked meanwhile comes after it."""
    one = await turn(storage, "one")
    await turn(storage, "two", one.conversation_id)
    await storage.delete_messages("local", one.run_id)
    await storage.delete_messages("local", one.run_id)
    assert await shown(storage, one.conversation_id) == ["one", "two", "re two"]
    assert [hit.message_id for hit in await storage.search("local", "re one")] == []
    with pytest.raises(NotFound):
        await storage.message("local", one.run_id)
    three = await turn(storage, "three", one.conversation_id)
    assert [message.text for message in three.history] == ["one", "two", "re two", "three"]
    await storage.restore_messages("local", one.run_id)
    assert await shown(storage, one.conversation_id) == ["one", "re one", "two", "re two", "three", "re three"]


async def test_the_last_message_is_deleted_and_comes_back_before_what_follows(storage: Storage) -> None:
    one = await turn(storage, "one")
    await storage.delete_messages("local", one.run_id)
    assert await shown(storage, one.conversation_id) == ["one"]
    await turn(storage, "two", one.conversation_id)
    await storage.restore_messages("local", one.run_id)
    assert await shown(storage, one.conversation_id) == ["one", "re one", "two", "re two"]


async def test_everything_from_here_on_is_deleted_and_comes_back(storage: Storage) -> None:
    one = await turn(storage, "one")
    two = await turn(storage, "two", one.conversation_id)
    await turn(storage, "three", one.conversation_id)
    await storage.delete_messages("local", two.user.id, following=True)
    assert await shown(storage, one.conversation_id) == ["one", "re one"]
    await turn(storage, "new", one.conversation_id)
    await storage.restore_messages("local", two.user.id)
    assert await shown(storage, one.conversation_id) == ["one", "re one", "two", "re two", "three", "re three"]
    await storage.delete_messages("local", one.user.id, following=True)
    assert await shown(storage, one.conversation_id) == []
    assert (await storage.branch_page("local", one.conversation_id, limit=10)).earlier is False
    await turn(storage, "first", one.conversation_id)
    assert await shown(storage, one.conversation_id) == ["first", "re first"]


async def test_another_version_takes_the_place_of_a_deleted_one(storage: Storage) -> None:
    """Of two answers the newer is deleted: the older is shown, and nothing is out of reach."""
    one = await turn(storage, "one")
    other = await again(storage, one.run_id, "again")
    await storage.delete_messages("local", other.run_id)
    assert await shown(storage, one.conversation_id) == ["one", "re one"]
    assert (await storage.conversation("local", one.conversation_id)).siblings == {}
    await storage.restore_messages("local", other.run_id)
    assert await shown(storage, one.conversation_id) == ["one", "re again"]


@pytest.mark.parametrize("call", ["select_branch", "delete_messages", "restore_messages", "message"])
async def test_a_message_is_its_owners(storage: Storage, call: str) -> None:
    one = await turn(storage, "one")
    for owner, message_id in (("other", one.run_id), ("local", "nothere"), ("local", "no id!")):
        with pytest.raises(NotFound):
            await getattr(storage, call)(owner, message_id)
    assert await shown(storage, one.conversation_id) == ["one", "re one"]


async def test_the_end_of_a_long_conversation_is_read_alone(storage: Storage) -> None:
    """Of 800 messages the last 100 are read, with as many statements as of four; pages before them fit together."""
    turns = 1000 if LONG else 400
    long, short = await long_conversation(storage, turns), (await turn(storage, "short")).conversation_id
    counts, read = [], 0
    for conversation_id in (short, long):
        with statements(storage) as seen:
            page = await storage.branch_page("local", conversation_id, limit=100)
        counts.append(len(seen))
        read = sum(len(values) for statement, values in seen if " IN (" in statement)
    assert counts[0] == counts[1]
    assert read < 500  # not all of them
    texts = [m.text for m in page.messages]
    assert texts == [text for n in range(turns - 50, turns) for text in (f"t{n}", f"re t{n}")]
    assert page.earlier
    while page.earlier:
        page = await storage.branch_page("local", long, limit=300, before=page.ids[0])
        texts[:0] = [m.text for m in page.messages]
    assert texts == [m.text for m in (await storage.conversation("local", long)).messages]
    known = page.ids[1:]
    assert [m.id for m in (await storage.branch_page("local", short, limit=100, known=known)).messages]
    page = await storage.branch_page("local", long, limit=100)
    rest = await storage.branch_page("local", long, limit=100, known=page.ids[:-1])
    assert rest.ids == page.ids
    assert [m.id for m in rest.messages] == [page.ids[-1]]
    with pytest.raises(NotFound):
        await storage.branch_page("local", short, limit=100, before=page.ids[0])


async def test_a_conversation_owns_its_model_and_options(storage: Storage) -> None:
    """It keeps those that it was begun with; a question that inherits gets them, one that does not has its own."""
    options = RunOptions("Be brief.", Options(temperature=0.5, schema={"type": "object"}))
    one = await turn(storage, "one", options=options, inherit=True)
    settings = (await storage.conversation("local", one.conversation_id)).settings
    assert settings.model == "m:x"
    assert settings.options == RunOptions("Be brief.", Options(temperature=0.5))
    own = RunOptions(options=Options(max_tokens=9))
    two = await turn(storage, "two", one.conversation_id, options=own, inherit=True)
    assert two.options == RunOptions("Be brief.", Options(temperature=0.5, max_tokens=9))
    assert (await turn(storage, "three", one.conversation_id, options=own)).options == own
    await storage.configure("local", one.conversation_id, model="m:z", options=RunOptions())
    settings = (await storage.branch_page("local", one.conversation_id, limit=1)).settings
    assert (settings.model, settings.options) == ("m:z", RunOptions())
    assert (await storage.answer("local", (await again(storage, two.run_id, "re")).run_id)).request["system"]
    with pytest.raises(NotFound):
        await storage.configure("other", one.conversation_id, model="m:z")


async def test_pinned_first_and_the_archive_apart(storage: Storage) -> None:
    """Whatever the size of a page, every conversation is in one list once: pinned ones first, then by time."""
    ids = [(await turn(storage, f"c{n}")).conversation_id for n in range(7)]
    for n in (0, 3):
        await storage.configure("local", ids[n], pinned=True)
    await storage.configure("local", ids[5], archived=True)
    expected = [ids[n] for n in (3, 0, 6, 4, 2, 1)]
    for limit in (1, 2, 3, 50):
        seen, before = [], None
        while page := await storage.conversations("local", limit=limit, before=before):
            seen += [row.id for row in page]
            before = page[-1].cursor
        assert seen == expected
    assert [row.id for row in await storage.conversations("local", archived=True)] == [ids[5]]
    assert [row.pinned for row in await storage.conversations("local", limit=3)] == [True, True, False]
    for cursor in ("pinned~", "pinned~x~y", "x", "pinned~2020-01-01T00:00:00~id"):
        with pytest.raises(InvalidInput):
            await storage.conversations("local", before=cursor)


async def test_the_trash(storage: Storage) -> None:
    """What is deleted does not exist for any call, comes back whole, and goes for good in the end."""
    one = await turn(storage, "heron")
    share_id = await storage.share("local", one.conversation_id)
    for _ in range(2):
        await storage.discard("local", one.conversation_id)
    assert await storage.conversations("local") == []
    assert await storage.search("local", "heron") == []
    for call in (
        storage.conversation("local", one.conversation_id),
        storage.branch_page("local", one.conversation_id, limit=1),
        storage.answer("local", one.run_id),
        storage.question_branch("local", one.run_id),
        storage.message("local", one.run_id),
        storage.rename("local", one.conversation_id, "x"),
        storage.choices("local", one.conversation_id),
        turn(storage, "two", one.conversation_id),
        turn(storage, "three", parent_id=one.run_id),
        again(storage, one.run_id, "again"),
        storage.select_branch("local", one.run_id),
        storage.restore("other", one.conversation_id),
        storage.shared(share_id, limit=1),
    ):
        with pytest.raises(NotFound):
            await call
    assert (await turn(storage, "heron")).run_id == one.run_id  # the same request is the same run
    assert await storage.purge(now() - timedelta(days=1)) == 0
    await storage.restore("local", one.conversation_id)
    assert await shown(storage, one.conversation_id) == ["heron", "re heron"]
    await storage.discard("local", one.conversation_id)
    assert await storage.purge(now() + timedelta(seconds=1)) == 1
    with pytest.raises(NotFound):
        await storage.restore("local", one.conversation_id)
    two = await turn(storage, "two")
    await storage.delete_messages("local", two.user.id)
    await storage.purge(now() + timedelta(seconds=1))
    assert await shown(storage, two.conversation_id) == ["re two"]
    await storage.restore_messages("local", two.user.id)
    assert await shown(storage, two.conversation_id) == ["", "re two"]


async def test_a_link_shows_what_was_shared(storage: Storage) -> None:
    """Whoever has it sees the branch of that moment, without what is deleted; it can be taken back."""
    one = await turn(storage, "one")
    share_id = await storage.share("local", one.conversation_id)
    await turn(storage, "two", one.conversation_id)
    assert [m.text for m in (await storage.shared(share_id, limit=100)).messages] == ["one", "re one"]
    assert (
        await storage.share("local", one.conversation_id)
        == share_id
        == await storage.share_of("local", one.conversation_id)
    )
    page = await storage.shared(share_id, limit=2)
    assert ([m.text for m in page.messages], page.earlier) == (["two", "re two"], True)
    assert [m.text for m in (await storage.shared(share_id, limit=2, before=page.ids[0])).messages] == ["one", "re one"]
    await storage.delete_messages("local", one.run_id)
    assert "re one" not in [m.text for m in (await storage.shared(share_id, limit=100)).messages]
    with pytest.raises(NotFound):
        await storage.share("other", one.conversation_id)
    await storage.unshare("local", one.conversation_id)
    for unknown in (share_id, "nothere", "no id!", one.conversation_id):
        with pytest.raises(NotFound):
            await storage.shared(unknown, limit=1)


async def test_what_was_there_before_opens_unchanged(tmp_path: Path) -> None:
    """A conversation without settings of its own has the model of its last answer, and no options."""
    storage = Storage(f"sqlite:///{tmp_path / 'chat.db'}")
    await storage.open()
    one = await turn(storage, "one")
    await storage._database.write(
        lambda c: c.exec_driver_sql("UPDATE conversation SET model = NULL, system = NULL, options = NULL")
    )
    await again(storage, one.run_id, "again")
    for settings in (
        (await storage.conversation("local", one.conversation_id)).settings,
        (await storage.branch_page("local", one.conversation_id, limit=9)).settings,
    ):
        assert (settings.model, settings.options) == ("m:y", RunOptions())
    root = await turn(storage, "root", one.conversation_id, parent_id=ROOT, inherit=True)
    assert root.options == RunOptions()
    await storage.close()


async def test_a_reader_keeps_what_it_has(storage: Storage) -> None:
    """What was read before stays in the part that is read again, with what is new; also if messages above return."""
    long = await long_conversation(storage, 120)
    page = await storage.branch_page("local", long, limit=100)
    begun = await turn(storage, "new", long)
    again = await storage.branch_page("local", long, limit=100, known=page.ids)
    assert again.ids == (*page.ids, begun.user.id, begun.run_id)
    assert [message.text for message in again.messages] == ["new", "re new"]
    assert again.earlier
    short = await turn(storage, "one")
    await storage.delete_messages("local", short.user.id)
    known = (await storage.branch_page("local", short.conversation_id, limit=100)).ids
    await storage.restore_messages("local", short.user.id)
    back = await storage.branch_page("local", short.conversation_id, limit=100, known=known)
    assert back.ids == (short.user.id, short.run_id)
    assert [message.text for message in back.messages] == ["one"]
