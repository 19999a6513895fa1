"""``STREAMCHAT_RECORD``: what a provider sent, as a file; and that file played again to the real SDKs."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamchat.chat.events import Finished
from streamchat.chat.request import TEMPORARY
from streamchat.errors import InvalidInput
from streamchat.providers import raw_recording
from streamchat.providers.openai.chat import OpenAIChat
from streamchat.providers.raw_recording import keep_newest, masked
from streamchat.settings import Settings
from streamchat.simulator.player import Player, RawRecording, read_recording
from streamchat.wiring.build_models import build_catalog
from streamchat.wiring.user_modules import UserModules
from tests.integration.providers.replay import Reply, replay
from tests.unit.providers import wire
from tests.unit.providers.asking import KINDS, Heard, ask, hear, question, user

both = pytest.mark.parametrize("kind", KINDS)
KEY = "secret-of-a-test-0123456789"
QUESTION = replace(question(), run_id="run-1")


def paths(folder: Path) -> list[Path]:
    """The recordings, oldest first."""
    return sorted(folder.rglob("*.raw.json"))


def files(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in paths(folder)]


async def played(kind: str, *recordings: RawRecording, speed: float = 0.0) -> Heard:
    player = Player(recordings, speed)
    try:
        return await ask(kind, f"http://127.0.0.1:{await player.start()}", QUESTION)
    finally:
        await player.close()


@both
async def test_what_was_recorded_is_heard_again(kind: str, tmp_path: Path) -> None:
    """The same bytes, also where a character is cut in two, and of these the same events."""
    body = wire.whole(kind, "Hello, wörld 🚀")
    cuts = [body[at : at + 7] for at in range(0, len(body), 7)]
    async with replay(Reply(cuts, between=0.001)) as server:
        heard = await ask(kind, server.url, QUESTION, record=tmp_path / "raw", api_key=KEY)
    (path,) = paths(tmp_path)
    recording = read_recording(path)
    assert b"".join(chunk for _, chunk in recording.chunks) == body
    times = [at for at, _ in recording.chunks]
    assert times == sorted(times)
    again = await played(kind, recording)
    assert (again.text, again.events) == ("Hello, wörld 🚀", heard.events)
    assert isinstance(again.events[-1], Finished)


@both
async def test_no_secret_is_in_a_recording(kind: str, tmp_path: Path) -> None:
    """Neither of the request, whose headers and body are not there at all, nor where the provider repeats a key."""
    text = f"Your key is {KEY}, and his is sk-proj-0123456789abcdefghij."
    async with replay(Reply(wire.whole(kind, text))) as server:
        heard = await ask(kind, server.url, QUESTION, record=tmp_path, api_key=KEY)
        assert any(KEY in value for value in server.asked[0].headers.values())
    assert KEY in heard.text  # the answer itself is not touched
    (path,) = paths(tmp_path)
    written = path.read_text()
    for secret in (KEY, "sk-proj-0123456789abcdefghij", "Bearer", "authorization", "x-api-key", '"hi"'):
        assert secret not in written
    assert path.stat().st_mode & 0o077 == 0
    again = await played(kind, read_recording(path))
    assert again.text == f"Your key is {'*' * len(KEY)}, and his is {'*' * 28}."


@both
async def test_errors_and_what_was_cut_off_are_recorded_too(kind: str, tmp_path: Path) -> None:
    """With their status, their place and their ending; played, they are the same errors."""
    body = wire.whole(kind, "Hello")
    busy = b'{"error": {"message": "Busy.", "type": "overloaded_error"}}'
    replies = (Reply(busy, 503, "application/json"), Reply(body[: len(body) // 2], ending="cut"))
    for number, reply in enumerate(replies):
        folder = tmp_path / str(number)
        async with replay(reply) as server:
            heard = await ask(kind, server.url, QUESTION, record=folder)
        assert heard.error is not None
        (path,) = paths(folder)
        assert (files(folder)[0]["status"], files(folder)[0]["run_id"]) == (reply.status, "run-1")
        again = await played(kind, read_recording(path))
        assert again.error is not None
        assert (again.error.kind, again.events) == (heard.error.kind, heard.events)
    assert files(tmp_path / "1")[0]["ending"] == "RemoteProtocolError"


async def test_off_and_for_temporary_chats_nothing_is_recorded(tmp_path: Path) -> None:
    """Nor what is no answer: a request that names no run."""
    for request, folder in (
        (QUESTION, None),
        (replace(QUESTION, run_id=f"{TEMPORARY}1"), tmp_path / "raw"),
        (question(), tmp_path / "raw"),
    ):
        async with replay(Reply(wire.whole("chat", "Hello"))) as server:
            assert (await ask("chat", server.url, request, record=folder)).text == "Hello"
    assert paths(tmp_path) == []


async def test_a_long_body_is_cut_off_in_the_recording_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = wire.whole("chat", "Hello, hello")
    for name in ("MAX_BODY_BYTES", "MAX_HELD_BYTES"):
        folder = tmp_path / name
        with monkeypatch.context() as patch:
            patch.setattr(raw_recording, name, 100)
            async with replay(Reply([body[:80], body[80:]], between=0.05)) as server:
                heard = await ask("chat", server.url, QUESTION, record=folder)
        assert (heard.text, heard.error) == ("Hello, hello", None)
        (recording,) = files(folder)
        assert recording["truncated"] is True
        assert sum(len(chunk["text"]) for chunk in recording["chunks"]) <= 100


async def test_a_folder_that_cannot_be_written_to_costs_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    async with replay(Reply(wire.whole("chat", "Hello"))) as server:
        heard = await ask("chat", server.url, QUESTION, record=tmp_path / "file" / "raw")
    assert (heard.text, heard.error) == ("Hello", None)
    assert "a response is not recorded" in caplog.text


def test_the_folder_keeps_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number and by size, and of other files nothing."""
    other = tmp_path / "notes.txt"
    other.write_text("x" * 100)
    for number in range(6):
        (tmp_path / f"2026112{number}.raw.json").write_text("x" * 10)
    monkeypatch.setattr(raw_recording, "MAX_FILES", 4)
    keep_newest(tmp_path)
    assert [path.name[7] for path in paths(tmp_path)] == ["2", "3", "4", "5"]
    monkeypatch.setattr(raw_recording, "MAX_FOLDER_BYTES", 25)
    keep_newest(tmp_path)
    assert [path.name[7] for path in paths(tmp_path)] == ["4", "5"]
    assert other.exists()


async def test_a_rounds_answers_are_played_in_order(tmp_path: Path) -> None:
    """The first request gets the first file; the last one is played again and again, with its times."""
    for text in ("one", "two"):
        async with replay(Reply(wire.whole("chat", text))) as server:
            await ask("chat", server.url, QUESTION, record=tmp_path)
    recordings = [read_recording(path) for path in paths(tmp_path)]
    slow = replace(recordings[1], chunks=tuple((0.4, chunk) for _, chunk in recordings[1].chunks))
    player = Player([recordings[0], slow], speed=2)
    url = f"http://127.0.0.1:{await player.start()}"
    try:
        # A list of models is no round.
        listing = OpenAIChat(base_url=f"{url}/v1")
        assert await listing.list_models() == []
        await listing.close()
        assert (await ask("chat", url, QUESTION)).text == "one"
        for _ in range(2):
            started = asyncio.get_running_loop().time()
            assert (await ask("chat", url, QUESTION)).text == "two"
            assert asyncio.get_running_loop().time() - started >= 0.2
    finally:
        await player.close()


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": "streamchat-recording", "events": []}', "\xff"])
def test_another_file_is_refused_with_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InvalidInput, match="not a raw recording"):
        read_recording(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_recording(tmp_path / "missing.json")


def test_what_looks_like_a_key_is_masked_in_place() -> None:
    """Lengths stay, so the chunks stay where they are; words are no keys."""
    body = b'{"a": "sk-abcdefghijklmnop", "b": "AIzaSyA0123456789abcdefghijkl", "c": "task-list risk-averse key-value"}'
    found = masked(body)
    assert len(found) == len(body)
    assert found == b'{"a": "%s", "b": "%s", "c": "task-list risk-averse key-value"}' % (b"*" * 19, b"*" * 29)


async def test_the_command_plays_files(tmp_path: Path) -> None:
    """It says where it listens; a file that it cannot read is a sentence, and no traceback."""
    async with replay(Reply(wire.whole("chat", "Hello"))) as server:
        await ask("chat", server.url, QUESTION, record=tmp_path)
    command = (sys.executable, "-m", "streamchat.simulator")
    playing = await asyncio.create_subprocess_exec(*command, *map(str, paths(tmp_path)), "--speed", "0", stdout=PIPE)
    try:
        assert playing.stdout is not None
        url = (await asyncio.wait_for(playing.stdout.readline(), 120)).decode().strip()
        assert (await ask("chat", url, QUESTION)).text == "Hello"
    finally:
        playing.terminate()
        await playing.wait()
    refused = await asyncio.create_subprocess_exec(*command, str(tmp_path / "missing.json"), stderr=PIPE)
    _, error = await asyncio.wait_for(refused.communicate(), 120)
    assert refused.returncode == 1
    assert error.decode().strip().endswith("missing.json cannot be read: No such file or directory.")


async def test_the_setting_reaches_the_providers(tmp_path: Path) -> None:
    """Every provider that is read over HTTP records, the simulator's too; without the setting none does."""
    for record in (None, tmp_path / "raw"):
        settings = Settings.model_validate({"STREAMCHAT_RECORD": record, "STREAMCHAT_DATA_DIR": tmp_path})
        catalog = build_catalog(settings, UserModules())
        try:
            asked = replace(question(user("n=3 rate=0 ttft=0"), model="tour"), run_id="run-2")
            heard = await hear(catalog.provider("simulator:tour").stream(asked))
        finally:
            await catalog.close()
        assert heard.error is None
        assert len(paths(tmp_path)) == (record is not None)
