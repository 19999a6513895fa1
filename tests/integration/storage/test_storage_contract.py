"""What storage promises, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC
from time import monotonic
from typing import Any

import pytest

from streamchat.chat.messages import FilePart, Message, NoticePart, ReasoningPart, Status, TextPart, ToolCallPart
from streamchat.chat.request import ROOT, NewRun
from streamchat.errors import InvalidInput, NotFound
from streamchat.storage import Begun, Storage
from tests.support.storing import beat, save, sweep

STRANGE_IDS = ["", "nope", "x" * 5000, "a\0b", "\ud83d", "'; DROP TABLE message; --", None, 7, ["a"], {"id": 1}]


async def begin(
    storage: Storage,
    text: str = "Hello",
    *,
    owner: str = "local",
    to: str | None = None,
    after: str | None = None,
    key: str = "",
    exclusive: bool = False,
) -> Begun:
    return await storage.begin(
        owner,
        NewRun(
            client_message_id=key or text,
            model="simulator:tour",
            parts=[TextPart(text)],
            conversation_id=to,
            parent_id=after,
        ),
        worker="w1",
        exclusive=exclusive,
    )


def with_text(message: Message, text: str, status: Status = "streaming") -> Message:
    return replace(message, parts=(TextPart(text),), status=status)


async def finished(storage: Storage, text: str, answer: str, **more: str | None) -> Begun:
    begun = await begin(storage, text, **more)  # pyrefly: ignore[bad-argument-type]
    await storage.end(with_text(begun.answer, answer, "finished"), 1)
    return begun


# Begin


async def test_a_first_message_makes_a_conversation(storage: Storage) -> None:
    """Title, question and a streaming answer are there after one call."""
    begun = await begin(storage, "\n  What is a log?  \nTell me.", key="c-1")
    assert begun.created
    assert begun.title == "What is a log?"
    assert begun.run_id == begun.answer.id
    assert (begun.answer.status, begun.answer.model, begun.answer.parts) == ("streaming", "simulator:tour", ())
    assert begun.history == (begun.user,)
    conversation = await storage.conversation("local", begun.conversation_id)
    assert conversation.messages == (begun.user, begun.answer)
    assert conversation.title == begun.title
    assert conversation.siblings == {}


async def test_the_next_message_hangs_on_the_active_leaf(storage: Storage) -> None:
    """The history of the second question is what was said before, in order, and the question."""
    first = await finished(storage, "one", "eins")
    second = await begin(storage, "two", to=first.conversation_id)
    assert [m.text for m in second.history] == ["one", "eins", "two"]
    assert second.title == first.title
    messages = (await storage.conversation("local", first.conversation_id)).messages
    assert [(m.role, m.text) for m in messages] == [
        ("user", "one"),
        ("assistant", "eins"),
        ("user", "two"),
        ("assistant", ""),
    ]


async def test_the_same_client_message_is_one_answer(storage: Storage) -> None:
    """A resend gets the answer that is under way, with its text so far, and stores nothing."""
    first = await begin(storage, "hi", key="c-1")
    await save(storage, [(with_text(first.answer, "half"), 3)])
    again = await begin(storage, "hi", key="c-1")
    assert not again.created
    assert again == replace(first, created=False, answer=with_text(first.answer, "half"))
    assert len((await storage.conversation("local", first.conversation_id)).messages) == 2


async def test_twenty_at_once_are_one_answer(storage: Storage) -> None:
    """Double clicks and tabs that race begin one conversation, one question and one answer."""
    results = await asyncio.gather(*(begin(storage, "hi", key="c-1") for _ in range(20)))
    assert sum(result.created for result in results) == 1
    assert len({result.run_id for result in results}) == 1
    (row,) = await storage.conversations("local")
    assert len((await storage.conversation("local", row.id)).messages) == 2


async def test_two_storages_that_race_begin_one_answer(storage: Storage, url: str) -> None:
    """The same between processes, which share nothing but the database."""
    other = Storage(url)
    await other.open()
    try:
        for n in range(5):
            both = [begin(which, "hi", key=f"c-{n}") for which in (storage, other) for _ in range(4)]
            results = await asyncio.gather(*both)
            assert sum(result.created for result in results) == 1
            assert len({result.run_id for result in results}) == 1
    finally:
        await other.close()
    assert len(await storage.conversations("local")) == 5


async def test_twenty_messages_at_once_form_one_line(storage: Storage) -> None:
    """Messages sent to one conversation at the same time are all kept, one after the other, none lost."""
    first = await finished(storage, "start", "ok")
    texts = [f"m{n}" for n in range(20)]
    await asyncio.gather(*(begin(storage, text, to=first.conversation_id) for text in texts))
    messages = (await storage.conversation("local", first.conversation_id)).messages
    assert len(messages) == 42
    assert sorted(m.text for m in messages if m.role == "user") == sorted(["start", *texts])


async def test_a_client_id_belongs_to_its_owner(storage: Storage) -> None:
    """Two people may use the same client message id; neither gets the other's answer."""
    mine = await begin(storage, "mine", owner="a", key="same")
    theirs = await begin(storage, "theirs", owner="b", key="same")
    assert theirs.created
    assert mine.run_id != theirs.run_id


@pytest.mark.parametrize("owner", ["", "a:b", "a\0", "\ud800", "x" * 201, None])
async def test_an_owner_has_a_plain_name(storage: Storage, owner: str) -> None:
    """A name that could be mistaken for another owner's request, or cannot be stored, is refused."""
    with pytest.raises(InvalidInput):
        await begin(storage, "x", owner=owner)
    with pytest.raises(InvalidInput):
        await storage.conversations(owner)


@pytest.mark.parametrize("key", ["", "x" * 201, "a\0b", "\ud800", None, 5])
async def test_a_bad_client_id_is_refused(storage: Storage, key: str) -> None:
    """With a sentence, and nothing is stored."""
    with pytest.raises(InvalidInput):
        await storage.begin("local", NewRun(client_message_id=key, parts=[TextPart("x")], model="m"), worker="w")
    assert await storage.conversations("local") == []


async def test_an_empty_message_is_refused(storage: Storage) -> None:
    """Nothing is stored for it."""
    with pytest.raises(InvalidInput):
        await storage.begin("local", NewRun(client_message_id="c", parts=[], model="m"), worker="w")
    assert await storage.conversations("local") == []


# Retry and Continue


async def test_retry_is_a_sibling(storage: Storage) -> None:
    """The new answer takes the old one's place on the active branch; both stay, in the order they were made."""
    old = await finished(storage, "q", "bad")
    new = await storage.begin_again(
        "local", message_id=old.run_id, client_message_id="r1", model="openai:x", worker="w1", continue_partial=False
    )
    assert new.created
    assert (new.answer.parts, new.answer.model, new.answer.status) == ((), "openai:x", "streaming")
    assert new.history == (old.user,) == (new.user,)
    conversation = await storage.conversation("local", old.conversation_id)
    assert conversation.messages == (old.user, new.answer)
    assert conversation.siblings == {new.run_id: (old.run_id, new.run_id)}
    assert (await storage.answer("local", old.run_id)).message.text == "bad"


async def test_continue_begins_with_what_was_kept(storage: Storage) -> None:
    """Every part of the partial answer, then a notice; the old answer keeps its ending."""
    old = await begin(storage, "q")
    parts = (ReasoningPart("hm", {"signature": "s"}), ToolCallPart("t1", "add", state="stopped"), TextPart("half"))
    await storage.end(replace(old.answer, parts=parts, status="stopped", opaque={"id": "resp_1"}), 9)
    new = await storage.begin_again(
        "local", message_id=old.run_id, client_message_id="r1", model="m:x", worker="w", continue_partial=True
    )
    assert new.answer.parts == (*parts, NoticePart("continued", "Continued from the partial answer."))
    assert new.answer.opaque == {"id": "resp_1"}
    assert (await storage.answer("local", new.run_id)).message == new.answer
    assert (await storage.answer("local", old.run_id)).message.status == "stopped"


async def test_retry_twice_is_one_answer(storage: Storage) -> None:
    """Ten clicks on Retry with one client id begin one answer, also while the first of them streams."""
    old = await finished(storage, "q", "bad")
    arguments: dict[str, Any] = dict(
        message_id=old.run_id, client_message_id="r1", model="m:x", worker="w", continue_partial=False
    )
    results = await asyncio.gather(*(storage.begin_again("local", **arguments) for _ in range(10)))
    assert sum(result.created for result in results) == 1
    assert {result.run_id for result in results} == {results[0].run_id}


async def test_an_answer_under_way_cannot_be_retried(storage: Storage) -> None:
    """Stop it first."""
    begun = await begin(storage, "q")
    with pytest.raises(InvalidInput):
        await storage.begin_again(
            "local", message_id=begun.run_id, client_message_id="r", model="m:x", worker="w", continue_partial=False
        )


async def test_retry_of_an_earlier_answer_leaves_what_followed(storage: Storage) -> None:
    """The branch that went on from the old answer is no longer active and is not lost."""
    first = await finished(storage, "one", "eins")
    second = await finished(storage, "two", "zwei", to=first.conversation_id)
    new = await storage.begin_again(
        "local", message_id=first.run_id, client_message_id="r", model="m:x", worker="w", continue_partial=False
    )
    assert new.history == (first.user,)
    assert (await storage.answer("local", second.run_id)).message.text == "zwei"


# Save and end


async def test_a_partial_answer_is_kept(storage: Storage) -> None:
    """With the seq it contains."""
    begun = await begin(storage)
    await save(storage, [(with_text(begun.answer, "so far"), 7)])
    stored = await storage.answer("local", begun.run_id)
    assert (stored.message.text, stored.seq, stored.message.status) == ("so far", 7, "streaming")
    assert stored.conversation_id == begun.conversation_id


async def test_many_partial_answers_are_one_call(storage: Storage) -> None:
    """A batch stores each message in its own row, and an unknown or ended one does not disturb the others."""
    begun = [await begin(storage, f"q{n}") for n in range(5)]
    await storage.end(with_text(begun[0].answer, "done", "finished"), 2)
    gone = Message("gone", "assistant", status="streaming")
    await save(storage, [(with_text(b.answer, f"a{n}"), 5) for n, b in enumerate(begun)] + [(gone, 1)])
    texts = [(await storage.answer("local", b.run_id)).message.text for b in begun]
    assert texts == ["done", "a1", "a2", "a3", "a4"]
    await save(storage, [])


async def test_an_older_partial_never_wins(storage: Storage) -> None:
    """Two writers out of order: the higher seq stays."""
    begun = await begin(storage)
    await save(storage, [(with_text(begun.answer, "newer"), 9)])
    await save(storage, [(with_text(begun.answer, "older"), 8)])
    await save(storage, [(with_text(begun.answer, "older"), 3), (with_text(begun.answer, "older still"), 2)])
    assert (await storage.answer("local", begun.run_id)).message.text == "newer"


@pytest.mark.parametrize("ending", ["finished", "stopped", "failed", "interrupted"])
async def test_nothing_changes_an_ending(storage: Storage, ending: Status) -> None:
    """A late partial, a second ending, a heartbeat or a sweep leaves the row exactly as it ended."""
    begun = await begin(storage)
    last = replace(with_text(begun.answer, "the end", ending), stop_reason="stop")
    assert await storage.end(last, 5)
    await save(storage, [(with_text(begun.answer, "late"), 99)])
    await save(storage, [(with_text(begun.answer, "late"), 99), (with_text(begun.answer, "later"), 100)])
    other = "stopped" if ending != "stopped" else "finished"
    assert not await storage.end(with_text(begun.answer, "other", other), 100)
    await beat(storage, [begun.run_id])
    assert await sweep(storage, -3600, "gone") == []
    stored = await storage.answer("local", begun.run_id)
    assert (stored.message, stored.seq) == (last, 5)


async def test_the_same_ending_again_is_fine(storage: Storage) -> None:
    """A writer that did not hear of its success tries again and is told that the ending is stored."""
    begun = await begin(storage)
    last = with_text(begun.answer, "x", "finished")
    assert await storage.end(last, 5)
    assert await storage.end(last, 5)


async def test_an_ending_of_an_unknown_answer(storage: Storage) -> None:
    """Not written, no error: its conversation was deleted meanwhile."""
    assert not await storage.end(Message("gone", "assistant", status="stopped"), 1)


async def test_only_an_ending_ends(storage: Storage) -> None:
    """Handing a partial to ``end`` is a bug of the caller and stores nothing."""
    begun = await begin(storage)
    with pytest.raises(ValueError, match="streaming"):
        await storage.end(begun.answer, 1)


async def test_waiting_goes_on(storage: Storage) -> None:
    """An answer that waits for an approval is stored as waiting, counts as under way, and can stream again."""
    begun = await begin(storage)
    await save(storage, [(with_text(begun.answer, "may I?", "waiting"), 4)])
    assert [(r.run_id, r.status, r.seq) for r in await storage.answering("local")] == [(begun.run_id, "waiting", 4)]
    await save(storage, [(with_text(begun.answer, "thanks"), 5)])
    assert [r.status for r in await storage.answering("local")] == ["streaming"]
    await storage.end(with_text(begun.answer, "thanks", "finished"), 6)
    assert await storage.answering("local") == []


# Branches


async def texts(storage: Storage, conversation_id: str) -> list[str]:
    return [message.text for message in (await storage.conversation("local", conversation_id)).messages]


async def test_a_question_after_a_message_begins_a_branch(storage: Storage) -> None:
    """It continues the branch of its parent, whatever is active, and its answer is the new leaf; the parent alone says
    which conversation. Both questions are versions of one another."""
    first = await finished(storage, "one", "eins")
    await finished(storage, "two", "zwei", to=first.conversation_id)
    other = await finished(storage, "zwo", "deux", after=first.run_id)
    assert other.conversation_id == first.conversation_id
    assert [message.text for message in other.history] == ["one", "eins", "zwo"]
    conversation = await storage.conversation("local", first.conversation_id)
    assert [message.text for message in conversation.messages] == ["one", "eins", "zwo", "deux"]
    question = conversation.messages[2]
    assert len(conversation.siblings[question.id]) == 2
    assert conversation.siblings[question.id][1] == question.id
    await finished(storage, "three", "drei", to=first.conversation_id)
    assert await texts(storage, first.conversation_id) == ["one", "eins", "zwo", "deux", "three", "drei"]


async def test_another_first_question_begins_a_branch(storage: Storage) -> None:
    """``ROOT`` stands before the first message."""
    first = await finished(storage, "one", "eins")
    other = await finished(storage, "uno", "un", to=first.conversation_id, after=ROOT)
    assert [message.text for message in other.history] == ["uno"]
    assert await texts(storage, first.conversation_id) == ["uno", "un"]


async def test_a_parent_is_a_message_of_this_conversation(storage: Storage) -> None:
    """One of another conversation, of another person, unknown, or malformed: not found, and nothing is stored."""
    first = await finished(storage, "one", "eins")
    second = await finished(storage, "two", "zwei")
    foreign = await begin(storage, "mine", owner="me")
    await storage.end(with_text(foreign.answer, "x", "finished"), 1)
    for to, after in (
        (first.conversation_id, second.run_id),
        (first.conversation_id, foreign.run_id),
        (None, foreign.run_id),
        (None, "unknown"),
        (first.conversation_id, "no id at all"),
    ):
        with pytest.raises(NotFound):
            await begin(storage, "lost", to=to, after=after)
    assert await texts(storage, first.conversation_id) == ["one", "eins"]
    assert len(await storage.conversations("local")) == 2


# Sweep


async def test_a_run_whose_process_is_gone_is_interrupted(storage: Storage) -> None:
    """Its text stays, it has a sentence, and a running tool is marked unknown so that nobody runs it again."""
    begun = await begin(storage)
    running = ToolCallPart("t1", "send_mail", arguments={"to": "a"}, state="running")
    await save(storage, [(replace(begun.answer, parts=(TextPart("half"), running)), 4)])
    assert await sweep(storage, -1, "The server was restarted.") == [begun.run_id]
    message = (await storage.answer("local", begun.run_id)).message
    assert message.status == "interrupted"
    assert message.parts == (TextPart("half"), replace(running, state="unknown"))
    assert message.error is not None
    assert message.error.message == "The server was restarted."
    assert message.error.retryable
    assert await storage.answering("local") == []


async def test_a_living_run_is_not_swept(storage: Storage) -> None:
    """Begin, save and beat each are a heartbeat; only what is older than asked is swept."""
    silent, saved, beaten = [await begin(storage, name) for name in ("silent", "saved", "beaten")]
    await asyncio.sleep(4)
    beginning = monotonic()
    await save(storage, [(with_text(saved.answer, "x"), 1)])
    await beat(storage, [beaten.run_id, "unknown"])
    fresh = await begin(storage, "fresh")
    # However long this took: the silent one is four seconds older than the others.
    assert await sweep(storage, monotonic() - beginning + 2) == [silent.run_id]
    alive = {row.run_id for row in await storage.answering("local")}
    assert alive == {saved.run_id, beaten.run_id, fresh.run_id}
    await beat(storage, [])


async def test_a_waiting_run_is_not_swept(storage: Storage) -> None:
    """It has no process that could be gone."""
    begun = await begin(storage)
    await save(storage, [(with_text(begun.answer, "may I?", "waiting"), 4)])
    assert await sweep(storage, -3600, "gone") == []
    assert (await storage.answer("local", begun.run_id)).message.status == "waiting"


async def test_sweepers_that_race_sweep_once(storage: Storage, url: str) -> None:
    """Two workers that start together: each run is reported by one of them."""
    begun = [await begin(storage, f"q{n}") for n in range(6)]
    other = Storage(url)
    await other.open()
    results = await asyncio.gather(*(sweep(which, -5) for which in (storage, other, storage, other)))
    await other.close()
    assert sorted(run_id for swept in results for run_id in swept) == sorted(b.run_id for b in begun)


# The list


async def test_newest_first_page_by_page(storage: Storage) -> None:
    """Every conversation once, newest first, also when one moves up between two pages."""
    begun = [await finished(storage, f"c{n}", "ok") for n in range(7)]
    seen = await storage.conversations("local", limit=3)
    await finished(storage, "again", "ok", to=begun[6].conversation_id)
    while page := await storage.conversations("local", limit=3, before=seen[-1].cursor):
        seen += page
    assert [row.title for row in seen] == [f"c{n}" for n in reversed(range(7))]


async def test_an_ending_moves_the_conversation_up(storage: Storage) -> None:
    """A partial save does not: the list must not dance while two answers stream."""
    first, second = await begin(storage, "first"), await begin(storage, "second")
    await save(storage, [(with_text(first.answer, "x"), 1)])
    assert [row.title for row in await storage.conversations("local")] == ["second", "first"]
    await storage.end(with_text(first.answer, "x", "finished"), 2)
    rows = await storage.conversations("local")
    assert [(row.title, row.answering) for row in rows] == [("first", False), ("second", True)]
    assert all(row.updated_at.tzinfo == UTC for row in rows)
    assert second.created


async def test_the_list_marks_what_is_answering(storage: Storage) -> None:
    """Streaming and waiting both count, and are told apart; an ending does not."""
    streaming, waiting, ended = [await begin(storage, name) for name in ("streaming", "waiting", "ended")]
    await save(storage, [(with_text(waiting.answer, "?", "waiting"), 1)])
    await storage.end(with_text(ended.answer, "x", "failed"), 1)
    marks = {row.id: (row.answering, row.waiting) for row in await storage.conversations("local")}
    assert marks == {
        streaming.conversation_id: (True, False),
        waiting.conversation_id: (True, True),
        ended.conversation_id: (False, False),
    }


@pytest.mark.parametrize("before", ["", "x", "2024-01-01~abc", "~", 7, "9" * 3000, "0001-01-01T00:00:00+23:59~a"])
async def test_a_bad_place_in_the_list(storage: Storage, before: str) -> None:
    """Refused with a sentence."""
    with pytest.raises(InvalidInput):
        await storage.conversations("local", before=before)


# Owners


async def test_what_is_not_mine_does_not_exist(storage: Storage) -> None:
    """Every call for a person, with another's ids: the same error as for ids that never were, and no effect."""
    theirs = await finished(storage, "secret", "answer", owner="them")
    await begin(storage, "mine", owner="me")

    async def calls(conversation_id: str, run_id: str) -> list[str]:
        again: dict[str, Any] = dict(client_message_id="k", model="m:x", worker="w")
        attempts = [
            storage.conversation("me", conversation_id),
            storage.answer("me", run_id),
            storage.rename("me", conversation_id, "taken"),
            storage.delete("me", conversation_id),
            storage.begin(
                "me",
                NewRun(client_message_id="k", model="m:x", parts=[TextPart("x")], conversation_id=conversation_id),
                worker="w",
            ),
            storage.begin_again("me", message_id=run_id, continue_partial=True, **again),
        ]
        told = []
        for attempt in attempts:
            with pytest.raises(NotFound) as caught:
                await attempt
            told.append(str(caught.value))
        return told

    assert await calls(theirs.conversation_id, theirs.run_id) == await calls("unknown-conversation", "unknown-message")
    assert [row.title for row in await storage.conversations("me")] == ["mine"]
    assert len(await storage.answering("me")) == 1
    conversation = await storage.conversation("them", theirs.conversation_id)
    assert (conversation.title, len(conversation.messages)) == ("secret", 2)


@pytest.mark.parametrize("strange", STRANGE_IDS, ids=repr)
async def test_strange_ids_are_not_found(storage: Storage, strange: str) -> None:
    """Whatever a client sends as an id: not found, never an error of the database."""
    for attempt in (
        storage.conversation("local", strange),
        storage.answer("local", strange),
        storage.delete("local", strange),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_a_question_is_not_an_answer(storage: Storage) -> None:
    """The id of a person's message is no run."""
    begun = await finished(storage, "q", "a")
    with pytest.raises(NotFound):
        await storage.answer("local", begun.user.id)


# Rename and delete


async def test_rename(storage: Storage) -> None:
    """One line, without control characters; the conversation keeps its place in the list."""
    first, _ = await begin(storage, "one"), await begin(storage, "two")
    await storage.rename("local", first.conversation_id, "  A better\nname\0 \u202e")
    assert [row.title for row in await storage.conversations("local")] == ["two", "A better name"]
    with pytest.raises(InvalidInput):
        await storage.rename("local", first.conversation_id, " \n ")
    assert (await storage.conversation("local", first.conversation_id)).title == "A better name"


async def test_delete_takes_all_of_it(storage: Storage) -> None:
    """Versions and running answers included; a writer that is still at it notices nothing but ``False``."""
    first = await finished(storage, "one", "eins")
    await storage.begin_again(
        "local", message_id=first.run_id, client_message_id="r", model="m:x", worker="w", continue_partial=False
    )
    running = await begin(storage, "two", to=first.conversation_id)
    other = await begin(storage, "other")
    await storage.delete("local", first.conversation_id)
    with pytest.raises(NotFound):
        await storage.conversation("local", first.conversation_id)
    await save(storage, [(with_text(running.answer, "late"), 3)])
    assert not await storage.end(with_text(running.answer, "late", "stopped"), 4)
    assert [row.run_id for row in await storage.answering("local")] == [other.run_id]
    with pytest.raises(NotFound):
        await storage.delete("local", first.conversation_id)


async def test_a_file_alone_gives_the_title(storage: Storage) -> None:
    """A message without text is called after its file."""
    begun = await storage.begin(
        "local", NewRun(client_message_id="c", parts=[FilePart("notes.txt", "x")], model="m"), worker="w"
    )
    assert begun.title == "notes.txt"


async def test_one_answer_at_a_time_where_that_is_asked_for(storage: Storage, url: str) -> None:
    """Of twenty messages at once, by two processes, one is taken; it holds up nobody once it has ended."""
    first = await finished(storage, "first", "yes")
    other = Storage(url)
    await other.open()
    asked = [
        begin(which, f"{n}", to=first.conversation_id, exclusive=True) for n, which in enumerate([storage, other] * 10)
    ]
    results = await asyncio.gather(*asked, return_exceptions=True)
    await other.close()
    (taken,) = (result for result in results if isinstance(result, Begun))
    assert all("still being written" in str(result) for result in results if result is not taken)
    again: dict[str, Any] = {"message_id": first.run_id, "client_message_id": "again", "model": "m", "worker": "w"}
    with pytest.raises(InvalidInput, match="still being written"):
        await storage.begin_again("local", **again, continue_partial=False, exclusive=True)
    await storage.end(with_text(taken.answer, "done", "finished"), 1)
    assert (await storage.begin_again("local", **again, continue_partial=False, exclusive=True)).created


async def test_who_is_stale_and_how_others_ended(storage: Storage) -> None:
    """What a sweep would end, and the answers among these that have ended."""
    silent, ended = await begin(storage, "a"), await begin(storage, "b")
    await storage.end(with_text(ended.answer, "kept", "stopped"), 7)
    assert [run.run_id for run in await storage.stale(-3600)] == [silent.run_id]
    assert await storage.stale(3600) == []
    (stored,) = await storage.ended([silent.run_id, ended.run_id, "unknown"])
    assert (stored.run_id, stored.message.text, stored.message.status, stored.seq) == (
        ended.run_id,
        "kept",
        "stopped",
        7,
    )
