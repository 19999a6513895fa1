"""Searching one's own messages, the same on both databases."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, inspect

from streamchat.chat.messages import FilePart, ReasoningPart, TextPart, ToolCallPart
from streamchat.chat.request import NewRun
from streamchat.errors import InvalidInput
from streamchat.storage import Begun, Storage, search
from streamchat.storage.migrate import alembic_config
from streamchat.storage.search_terms import phrases_of, snippet, words_of
from tests.support.long import examples
from tests.support.storing import save, sweep


async def begin(storage: Storage, text: str, *, owner: str = "local", to: str | None = None) -> Begun:
    parts = [TextPart(text)]
    return await storage.begin(
        owner,
        NewRun(conversation_id=to, client_message_id=f"c{abs(hash((owner, text)))}", parts=parts, model="m:x"),
        worker="w",
    )


async def turn(storage: Storage, question: str, answer: str, **more) -> Begun:
    begun = await begin(storage, question, **more)
    await storage.end(replace(begun.answer, status="finished", parts=(TextPart(answer),)), 1)
    return begun


async def texts(storage: Storage, query: str, owner: str = "local") -> list[str]:
    """What is found, without the marks."""
    return [hit.snippet.replace("«", "").replace("»", "") for hit in await storage.search(owner, query)]


async def test_questions_and_answers_are_found(storage: Storage) -> None:
    """With where they are, newest first; what was found is marked in the snippet."""
    first = await turn(storage, "Where do penguins live?", "Penguins live in the south.")
    second = await turn(storage, "And bears?", "Not beside penguins.", to=first.conversation_id)
    hits = await storage.search("local", "penguins")
    assert [hit.message_id for hit in hits] == [second.run_id, first.run_id, first.user.id]
    assert [hit.role for hit in hits] == ["assistant", "assistant", "user"]
    assert hits[1].snippet == "«Penguins» live in the south."
    assert {(hit.conversation_id, hit.title) for hit in hits} == {(first.conversation_id, first.title)}
    assert abs(hits[0].created_at - datetime.now(UTC)) < timedelta(minutes=5)


HAS = [
    ("The quick brown fox", "quick"),
    ("The quick brown fox", "QUICK FOX"),
    ("The quick brown fox", "fox qui"),
    ("The quick brown fox", '"quick brown"'),
    ("Über die Größe, naïve", "uber"),
    ("Über die Größe, naïve", "GRÖSSE naive"),
    ("call foo_bar(baz) now", "foo_bar"),
    ("call foo_bar(baz) now", "foo_bar(b"),
    ("mail me@example.org today", "me@example.org"),
    ("version 3.14.2 is out", "3.14"),
    ("価格は東京駅で確認", "東京"),
    ("価格は東京駅で確認", "価格 確認"),
    ("안녕하세요 세계", "세계"),
    ("नमस्ते दुनिया", "दुनिया"),
    ("привет, Мир", "мир"),
    ("it's 5-10 o'clock", "o'clock 5-10"),
    ("a\0b and half \ud83d", "half"),
]
HAS_NOT = [
    ("The quick brown fox", "qui fox"),
    ("The quick brown fox", "quick-fox"),
    ("The quick brown fox", "uick"),
    ("The quick brown fox", "quick cat"),
    ("価格は東京駅で確認", "京東"),
    ("anything", ""),
    ("anything", "  ?!  \0"),
]


async def test_what_is_found(storage: Storage) -> None:
    """All words are there, whatever their case, accents and punctuation; of the last one its beginning is enough."""
    for number, (said, query) in enumerate(HAS):
        owner = f"person{number}"
        begun = await turn(storage, said, "yes", owner=owner)
        await turn(storage, "something else", "entirely", owner=owner)
        hits = await storage.search(owner, query)
        assert [hit.message_id for hit in hits] == [begun.user.id], (said, query)
        assert "«" in hits[0].snippet, (said, query)


async def test_what_is_not_found(storage: Storage) -> None:
    """A word that is missing or inside another one, words side by side that are apart, a query without words."""
    for number, (said, query) in enumerate(HAS_NOT):
        await turn(storage, said, "yes", owner=f"person{number}")
        assert await storage.search(f"person{number}", query) == [], (said, query)


FOUND = [
    *(
        'fox"',
        "fox'",
        "fox*",
        "-fox",
        "^fox",
        "(fox",
        "fox)",
        "{fox}",
        "fox:*",
        "!fox",
        "fox\\",
        "%fox%",
        "fox\n",
        "fox\0",
    ),
    "fox \ud83d",
    "fox " * 2_500,
]
NOT_FOUND = [
    *('"', "'", "*", "\\", "%", "_", "a\0b", "\ud83d", "';--", "$1", ":asked", "%s", "😀", "\u202e", "fox\x1b[0m"),
    *("fox OR cat", "NOT fox", "NEAR(fox cat)", "words:fox", "fox AND", "fox & cat", "fox <-> cat", "fox NEAR"),
    *("x" * 10_000, '"' * 10_000, "東" * 10_000, "fox cat " * 1_250),
]


async def test_nothing_in_a_query_is_syntax(storage: Storage) -> None:
    """Quotes, stars, operators, ten thousand characters: words are looked for, and nothing raises."""
    await turn(storage, "the fox", "yes")
    for query in FOUND:
        assert await texts(storage, query) == ["the fox"], query
    for query in NOT_FOUND:
        assert await texts(storage, query) == [], query


async def test_only_what_belongs_to_the_person(storage: Storage) -> None:
    """Nobody finds the words of somebody else."""
    await turn(storage, "my secret", "kept", owner="ann")
    assert len(await storage.search("ann", "secret")) == 1
    assert await storage.search("bob", "secret") == []
    with pytest.raises(InvalidInput):
        await storage.search("", "secret")


async def test_an_answer_is_found_when_it_has_ended(storage: Storage) -> None:
    """However it ended; not before."""
    begun = await begin(storage, "q")
    partial = replace(begun.answer, parts=(TextPart("walrus"),))
    await save(storage, [(partial, 1)])
    assert await storage.search("local", "walrus") == []
    await storage.end(replace(partial, status="stopped"), 2)
    await storage.end(replace(partial, status="stopped"), 2)
    assert len(await storage.search("local", "walrus")) == 1
    lost = await begin(storage, "q2")
    await save(storage, [(replace(lost.answer, parts=(TextPart("narwhal"),)), 1)])
    await sweep(storage, -60, "The server stopped.")
    assert [hit.message_id for hit in await storage.search("local", "narwhal")] == [lost.run_id]


async def test_only_what_was_said_is_searched(storage: Storage) -> None:
    """Not reasoning, files or the results of tools."""
    begun = await begin(storage, "q")
    parts = (ReasoningPart("aardvark"), ToolCallPart("c", "x", result="badger"), TextPart("civet"))
    await storage.end(replace(begun.answer, status="finished", parts=parts), 1)
    file = FilePart("dingo.txt", "elk")
    await storage.begin("local", NewRun(client_message_id="f", parts=[file], model="m"), worker="w")
    assert [len(await storage.search("local", word)) for word in ("aardvark", "badger", "civet", "elk")] == [0, 0, 1, 0]


async def test_what_is_deleted_is_not_found(storage: Storage) -> None:
    """Nor is anything of it left in the index."""
    begun = await turn(storage, "gone soon", "gone")
    await storage.delete("local", begun.conversation_id)
    assert await storage.search("local", "gone") == []
    assert await storage.search("local", "go") == []
    other = await turn(storage, "here now", "still")
    assert [hit.conversation_id for hit in await storage.search("local", "here")] == [other.conversation_id]


async def test_pages_are_whole_and_without_repeats(storage: Storage) -> None:
    """From page to page everything is found once, although more comes in meanwhile."""
    conversation = (await turn(storage, "word 0", "no")).conversation_id
    for n in range(1, 25):
        await turn(storage, f"word {n}", "no", to=conversation)
    seen, before = [], None
    while hits := await storage.search("local", "word", limit=10, before=before):
        seen += [hit.snippet for hit in hits]
        before = hits[-1].cursor
        await turn(storage, f"word new {len(seen)}", "no", to=conversation)
    assert seen == [f"«word» {n}" for n in range(24, -1, -1)]
    assert len(await storage.search("local", "word", limit=0)) == 1


async def test_what_is_no_place_and_no_query_is_refused(storage: Storage) -> None:
    """With a sentence."""
    edge = "9999-12-31T23:59:59-23:59~x"
    for before in ("", "x", "2026-01-01T00:00:00~x", "2026-01-01T00:00:00+00:00~'", edge, 5):
        with pytest.raises(InvalidInput):
            await storage.search("local", "word", before=before)  # pyrefly: ignore[bad-argument-type] is what is tested
    for query in (None, 5, ["x"], b"x"):
        with pytest.raises(InvalidInput):
            await storage.search("local", query)  # pyrefly: ignore[bad-argument-type] is what is tested


async def test_long_and_strange_texts_do_not_lose_the_answer(storage: Storage) -> None:
    """One word of two megabytes, 200,000 different words, a million characters: stored, and the beginning found."""
    texts = ["start " + "x" * 2_000_000, "start " + " ".join(map(str, range(200_000))), "start " + "東𝒳é" * 300_000]
    for number, text in enumerate(texts):
        begun = await turn(storage, f"q{number}", text)
        assert (await storage.answer("local", begun.run_id)).message.text == text
    hits = await storage.search("local", "start")
    assert len(hits) == 3
    assert all(len(hit.snippet) < 400 for hit in hits)


async def test_what_was_there_before_the_search_came_is_found(url: str) -> None:
    """The step that adds the search reads the messages that are stored, and skips what is damaged."""
    storage = Storage(url)
    await storage.open()
    kept = await turn(storage, "an old question", "an old answer")
    under_way = await begin(storage, "old and open")

    def down(connection: Connection) -> None:
        command.downgrade(alembic_config(connection), "0002")
        connection.exec_driver_sql(f"UPDATE message SET parts = '[7, {{}}]' WHERE id = '{under_way.user.id}'")

    await storage._database.write(down)
    await storage.close()
    storage = Storage(url)
    await storage.open()
    try:
        assert {hit.message_id for hit in await storage.search("local", "old")} == {kept.user.id, kept.run_id}
        await storage.end(replace(under_way.answer, status="finished", parts=(TextPart("old too"),)), 1)
        assert len(await storage.search("local", "old")) == 3
    finally:
        await storage.close()


async def test_the_databases_own_indexes_are_there(storage: Storage, url: str) -> None:
    """SQLite's table of words agrees with what it was made from; PostgreSQL has its index."""
    begun = await turn(storage, "one two", "three")
    await turn(storage, "four", "five")
    await storage.delete("local", begun.conversation_id)

    def look(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            indexes = {index["name"] for index in inspect(connection).get_indexes("message_words")}
            assert "ix_message_words_words" in indexes
        else:
            check = "INSERT INTO message_words_fts (message_words_fts, rank) VALUES ('integrity-check', 1)"
            connection.exec_driver_sql(check)

    await storage._database.write(look)


async def test_a_search_survives_vacuum(tmp_path: Path) -> None:
    """SQLite may number its rows anew then; the index does not follow those numbers."""
    file = tmp_path / "streamchat.db"
    storage = Storage(f"sqlite:///{file}")
    await storage.open()
    first = await turn(storage, "alpha", "beta")
    second = await turn(storage, "gamma", "delta")
    await storage.delete("local", first.conversation_id)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM")
    assert [hit.message_id for hit in await storage.search("local", "delta")] == [second.run_id]
    assert await storage.search("local", "alpha") == []
    await storage.close()


async def test_snippets_of_long_texts_hold_up_nothing(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are found in a thread, as everything that a transaction does."""
    threads = []

    def noted(text: str, phrases: object) -> str:
        threads.append(threading.current_thread() is threading.main_thread())
        return snippet(text, phrases)  # pyrefly: ignore[bad-argument-type] what search gives

    monkeypatch.setattr(search, "snippet", noted)
    await begin(storage, "x " * 45_000 + "needle")
    (hit,) = await storage.search("local", "needle")
    assert "«needle»" in hit.snippet
    assert threads == [False]


# Words and snippets


def test_a_snippet_is_one_line_around_the_first_word() -> None:
    """With dots where the text goes on."""
    text = "a " * 200 + "the needle\nis here " + "b " * 200
    shown = snippet(text, phrases_of("needle here"))
    assert "the «needle» is «here» b" in shown
    assert (shown[0], shown[-1]) == ("…", "…")
    assert len(shown) < 250


@pytest.mark.parametrize(
    ("text", "query", "shown"),
    [
        ("Größe zählt", "grosse", "«Größe» zählt"),
        ("東京駅で", "東京", "«東京»駅で"),
        ("start, art; ARTS", "art", "start, «art»; «ARTS»"),
        ("<b>art</b>", "art", "<b>«art»</b>"),
        ("nothing", "art", "nothing"),
    ],
)
def test_what_was_found_is_marked(text: str, query: str, shown: str) -> None:
    """Whole words as they were written, or their beginning for the last word of the query."""
    assert snippet(text, phrases_of(query)) == shown


@given(st.text(max_size=300))
def test_words_are_plain(text: str) -> None:
    """No quote, space or control character can come into an index or a query: both are made of such words."""
    for word in words_of(text):
        assert word
        assert not set(word) & set("\"'\\ \0*:&|!()<>-^")
        word.encode()
    assert words_of(" ".join(words_of(text))) == words_of(text)
    snippet(text, phrases_of(text) or [("x",)])


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
async def test_any_text_finds_itself(storage: Storage, text: str) -> None:
    """A text with words in it is found by them."""
    if not (words := words_of(text)) or not text.strip():
        return
    begun = await storage.begin(
        "local", NewRun(client_message_id=f"c{abs(hash(text))}", parts=[TextPart(text)], model="m"), worker="w"
    )
    found = await storage.search("local", " ".join(words[:20]), limit=100)
    assert begun.user.id in {hit.message_id for hit in found}
