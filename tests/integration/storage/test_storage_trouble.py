"""An SQLite database that is damaged, read-only, locked, full or gone: one sentence, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import StorageError
from streamchat.storage import Begun, Storage
from tests.support.disks import fill, small_disk
from tests.support.storing import beat, save


async def begin(storage: Storage, key: str = "c", text: str = "q") -> Begun:
    return await storage.begin("local", NewRun(client_message_id=key, parts=[TextPart(text)], model="m:x"), worker="w")


async def made(file: Path, answers: int = 40) -> Begun:
    """A database with something in it, closed."""
    storage = Storage(f"sqlite:///{file}")
    await storage.open()
    for n in range(answers):
        begun = await begin(storage, f"c{n}", "text " * 400)
        await storage.end(replace(begun.answer, status="finished", parts=(TextPart("x" * 3000),)), 1)
    await storage.close()
    return begun  # pyrefly: ignore[unbound-name]


async def refusal(url: str, patience: float = 5) -> StorageError:
    """How ``open`` refuses. One sentence that names the file, without a traceback."""
    with pytest.raises(StorageError) as caught:
        await Storage(url, patience=patience).open()
    told = str(caught.value)
    assert "\n" not in told
    assert "sqlite3" not in told
    assert "Error" not in told
    assert told.endswith(".")
    return caught.value


def contents(folder: Path) -> dict[str, bytes]:
    """What would be lost. (Looking at a WAL database leaves an index and an empty log beside it.)"""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}
    return {name: data for name, data in found.items() if data}


def garbage(data: bytes) -> bytes:
    return b"This is a letter to my aunt, not a database.\n" * 200


def cut_in_half(data: bytes) -> bytes:
    return data[: len(data) // 8192 * 4096]


def hole(data: bytes) -> bytes:
    return data[: 4096 * 2] + b"\xff" * (len(data) - 4096 * 4) + data[-4096 * 2 :]


def bad_header(data: bytes) -> bytes:
    return b"SQLite format 3\0" + b"\xff" * 84 + data[100:]


@pytest.mark.parametrize("damage", [garbage, cut_in_half, hole, bad_header])
async def test_a_damaged_file_is_left_alone(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """One sentence that names it; not a byte of it is changed."""
    file = tmp_path / "chat.db"
    await made(file)
    file.write_bytes(damage(file.read_bytes()))
    before = contents(tmp_path)
    error = await refusal(f"sqlite:///{file}")
    assert error.reason == "corrupt"
    assert not error.transient
    assert str(file) in str(error)
    assert contents(tmp_path) == before


async def test_damage_with_a_log_beside_it_is_left_alone(tmp_path: Path) -> None:
    """A WAL that a killed process left is not written into a file that is no database."""
    file = tmp_path / "chat.db"
    storage = Storage(f"sqlite:///{file}")
    await storage.open()
    await begin(storage)
    shutil.copy(f"{file}-wal", tmp_path / "kept")
    await storage.close()
    file.write_bytes(garbage(b""))
    shutil.copy(tmp_path / "kept", f"{file}-wal")
    before = contents(tmp_path)
    assert (await refusal(f"sqlite:///{file}")).reason == "corrupt"
    assert contents(tmp_path) == before


async def test_damage_that_shows_later_is_one_sentence(tmp_path: Path) -> None:
    """A page that goes bad while the program runs: the calls that need it say so."""
    file = tmp_path / "chat.db"
    begun = await made(file)
    storage = Storage(f"sqlite:///{file}")
    await storage.open()
    with file.open("r+b") as raw:
        raw.seek(4096)
        raw.write(b"\xff" * (file.stat().st_size - 4096))
    with pytest.raises(StorageError) as caught:
        await storage.conversation("local", begun.conversation_id)
    assert caught.value.reason == "corrupt"
    assert str(file) in str(caught.value)
    await storage.close()


async def test_a_killed_process_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    """``kill -9`` between two saves: everything that a call had returned for is there."""
    file = tmp_path / "chat.db"
    script = f"""
import asyncio, os
from dataclasses import replace
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.storage import Storage
from tests.support.storing import save
async def main():
    storage = Storage("sqlite:///{file}")
    await storage.open()
    begun = await storage.begin("local", NewRun(client_message_id="c", parts=[TextPart("q")], model="m:x"), worker="w")
    await save(storage, [(replace(begun.answer, parts=(TextPart("half"),)), 7)])
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    process = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], timeout=60)
    assert process.returncode == -9
    storage = Storage(f"sqlite:///{file}")
    await storage.open()
    (row,) = await storage.answering("local")
    stored = await storage.answer("local", row.run_id)
    assert (stored.message.text, stored.seq) == ("half", 7)
    await storage.close()


@pytest.mark.parametrize("form", ["sqlite:///{}", "sqlite+aiosqlite:///{}"])
async def test_another_program_s_database_is_left_alone(tmp_path: Path, form: str) -> None:
    """Tables that are not ours are no place for ours."""
    file = tmp_path / "theirs.db"
    with closing(sqlite3.connect(file)) as theirs:
        theirs.execute("CREATE TABLE accounts (id INTEGER)")
        theirs.commit()
    before = contents(tmp_path)
    assert (await refusal(form.format(file))).reason == "foreign"
    assert contents(tmp_path) == before


async def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    """Written by a newer version: says so and what to do, and changes nothing."""
    file = tmp_path / "chat.db"
    await made(file, 1)
    with closing(sqlite3.connect(file)) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()
    before = contents(tmp_path)
    error = await refusal(f"sqlite:///{file}")
    assert error.reason == "newer"
    assert "newer version" in str(error)
    assert contents(tmp_path) == before


@pytest.fixture
def immutable() -> Iterator[Callable[[Path], None]]:
    """Makes a file or folder one that not even root can write."""
    done: list[Path] = []

    def make(path: Path) -> None:
        if os.geteuid() == 0:
            if subprocess.run(["chattr", "+i", str(path)], capture_output=True).returncode:
                pytest.skip("this file system has no immutable files, and root may write everything else")
        else:
            path.chmod(0o555)
        done.append(path)

    yield make
    for path in done:
        if os.geteuid() == 0:
            subprocess.run(["chattr", "-i", str(path)], check=True)
        else:
            path.chmod(0o755)


async def test_a_read_only_file(tmp_path: Path, immutable: Callable[[Path], None]) -> None:
    """Says that it is read-only."""
    file = tmp_path / "chat.db"
    await made(file, 1)
    immutable(file)
    error = await refusal(f"sqlite:///{file}")
    assert (error.reason, error.transient) == ("read-only", False)
    assert str(error) == f"The database {file} is read-only."


async def test_a_read_only_folder(tmp_path: Path, immutable: Callable[[Path], None]) -> None:
    """SQLite needs to make files beside the database: the same sentence."""
    folder = tmp_path / "data"
    folder.mkdir()
    await made(folder / "chat.db", 1)
    immutable(folder)
    assert (await refusal(f"sqlite:///{folder / 'chat.db'}")).reason == "read-only"


async def test_a_place_where_nothing_can_be_made(tmp_path: Path, immutable: Callable[[Path], None]) -> None:
    """A new database in a read-only folder, below a file, or in a folder's own place."""
    (tmp_path / "data").mkdir()
    (tmp_path / "file").write_text("")
    immutable(tmp_path / "data")
    for place in (tmp_path / "data" / "chat.db", tmp_path / "data" / "deep" / "chat.db", tmp_path / "file" / "chat.db"):
        assert (await refusal(f"sqlite:///{place}")).reason in ("read-only", "unreachable")
    assert (await refusal(f"sqlite:///{tmp_path}")).reason == "corrupt"


async def test_a_read_only_address(tmp_path: Path) -> None:
    """A URL that opens the file for reading only is refused at the start, not at the first message."""
    file = tmp_path / "chat.db"
    await made(file, 1)
    assert (await refusal(f"sqlite:///file:{file}?mode=ro&uri=true")).reason == "read-only"


async def test_a_locked_database(tmp_path: Path) -> None:
    """While another program holds it: a transient sentence after the patience, and afterwards all is well."""
    file = tmp_path / "chat.db"
    storage = Storage(f"sqlite:///{file}", patience=0.2)
    await storage.open()
    begun = await begin(storage)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        attempts = [
            begin(storage, "new"),
            save(storage, [(replace(begun.answer, parts=(TextPart("x"),)), 3)]),
            storage.end(replace(begun.answer, status="finished"), 4),
            beat(storage, [begun.run_id]),
            storage.delete("local", begun.conversation_id),
        ]
        for attempt in attempts:
            with pytest.raises(StorageError) as caught:
                await attempt
            assert (caught.value.reason, caught.value.transient) == ("locked", True)
            assert str(caught.value) == f"The database {file} is locked by another program."
        assert len((await storage.conversation("local", begun.conversation_id)).messages) == 2  # readers go on
        error = await refusal(f"sqlite:///{file}", patience=0.2)
        assert error.reason == "locked"
        other.execute("ROLLBACK")
    assert await storage.end(replace(begun.answer, status="finished"), 4)
    assert (await begin(storage, "new")).created
    await storage.close()


async def test_a_lock_that_is_let_go_is_waited_for(tmp_path: Path) -> None:
    """Shorter than the patience: nobody notices."""
    storage = Storage(f"sqlite:///{tmp_path / 'chat.db'}", patience=20)
    await storage.open()
    with closing(sqlite3.connect(tmp_path / "chat.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        started = asyncio.create_task(begin(storage))
        await asyncio.sleep(0.3)
        assert not started.done()
        other.execute("COMMIT")
    assert (await started).created
    await storage.close()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    with small_disk(tmp_path / "disk", "1m") as place:
        yield place


async def test_a_full_disk(tiny_disk: Path) -> None:
    """A transient sentence; what was stored stays; when there is space again the same call works."""
    filler = tiny_disk / "filler"
    storage = Storage(f"sqlite:///{tiny_disk / 'chat.db'}")
    await storage.open()
    first = await begin(storage)
    await save(storage, [(replace(first.answer, parts=(TextPart("kept"),)), 1)])
    fill(filler)
    big = replace(first.answer, parts=(TextPart("y" * 300_000),))
    for attempt in (save(storage, [(big, 2)]), begin(storage, "new", "z" * 100_000)):
        with pytest.raises(StorageError) as caught:
            await attempt
        assert (caught.value.reason, caught.value.transient) == ("full", True)
        assert "no space" in str(caught.value)
    assert (await storage.answer("local", first.run_id)).message.text == "kept"
    filler.unlink()
    await save(storage, [(big, 2)])
    assert (await begin(storage, "new", "z" * 100_000)).created
    assert (await storage.answer("local", first.run_id)).message == big
    await storage.close()


async def test_no_space_to_begin_with(tiny_disk: Path) -> None:
    """A sentence at the start."""
    fill(tiny_disk / "filler")
    error = await refusal(f"sqlite:///{tiny_disk / 'chat.db'}")
    assert error.reason in ("full", "disk", "unreachable", "read-only")


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_is_taken_away(tmp_path: Path, replaced: bool) -> None:
    """SQLite would write on into the removed file, and the answer would be gone at the next start: say so now."""
    file = tmp_path / "chat.db"
    storage = Storage(f"sqlite:///{file}")
    await storage.open()
    begun = await begin(storage)
    file.rename(tmp_path / "moved.db")
    if replaced:
        await made(file, 1)
    with pytest.raises(StorageError) as caught:
        await storage.end(replace(begun.answer, status="finished"), 1)
    assert (caught.value.reason, caught.value.transient) == ("gone", False)
    await storage.close()


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true", "mysql://u:hunter2@h/db",
     "postgresql://u:hunter2@h:port/db", "sqlite:///file:x?mode=memory&uri=true"],
)  # fmt: skip
def test_an_address_that_cannot_be_one(url: str) -> None:
    """One sentence that names the setting, and no password."""
    with pytest.raises(StorageError) as caught:
        Storage(url)
    assert "STREAMCHAT_DATABASE_URL" in str(caught.value)
    assert "hunter2" not in repr(caught.value)


async def test_a_new_database_is_private(tmp_path: Path) -> None:
    """Its folder is made, and only this user can read what people say."""
    file = tmp_path / "deep" / "er" / "chat.db"
    storage = Storage(f"sqlite:///{file}")
    await storage.open()
    await begin(storage)
    for each in file.parent.iterdir():
        assert each.stat().st_mode & 0o077 == 0
    await storage.close()


async def test_settings_of_every_connection(tmp_path: Path) -> None:
    """WAL, no fsync per commit, foreign keys, and patience with a lock, also on connections opened later."""
    storage = Storage(f"sqlite:///{tmp_path / 'chat.db'}", patience=3)
    await storage.open()

    def pragmas(connection: Connection) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
        time.sleep(0.05)
        return found

    assert await asyncio.gather(*(storage._database.read(pragmas) for _ in range(8))) == [["wal", 1, 1, 3000]] * 8
    await storage.close()


async def test_a_cancelled_call_leaves_nothing_behind(tmp_path: Path) -> None:
    """A caller that is cancelled at any point of a call: no lock, no half of a transaction, no lost connection."""
    storage = Storage(f"sqlite:///{tmp_path / 'chat.db'}", patience=2)
    await storage.open()
    for n in range(40):
        task = asyncio.create_task(begin(storage, f"c{n}"))
        await asyncio.sleep(n * 0.0002)
        task.cancel()
        await asyncio.wait([task])
        assert (await begin(storage, f"c{n}")).user.text == "q"
    rows = await storage.conversations("local", limit=100)
    assert len(rows) == 40
    for row in rows:
        assert len((await storage.conversation("local", row.id)).messages) == 2
    await storage.close()


def test_a_process_that_forgets_to_close_can_end(tmp_path: Path) -> None:
    """Open connections never keep the process alive."""
    script = f"""
import asyncio
from streamchat.storage import Storage
async def main():
    storage = Storage("sqlite:///{tmp_path / "chat.db"}")
    await storage.open()
    await storage.conversations("local")
asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True).returncode == 0


async def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that changes its working directory still writes to the same file."""
    monkeypatch.chdir(tmp_path)
    storage = Storage("sqlite:///data/chat.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    await storage.open()
    assert (await begin(storage)).created
    await storage.close()
    assert (tmp_path / "data" / "chat.db").exists()
    assert not list((tmp_path / "elsewhere").iterdir())
