"""Backup and restore: everything of one moment, in one file, from either kind of database."""

from __future__ import annotations

import asyncio
import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from devservers.app import ROOT, completed, environment
from streamchat import backup
from streamchat.backup import BackupError
from streamchat.chat.files import CheckedFile, FileInfo
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import StorageError
from streamchat.settings import Settings
from streamchat.storage import Storage
from streamchat.storage.address import read_address

Installation = Callable[[str], Settings]
SAID = "sk-CANARY is what a person wrote: Ω 🎈\u0085\u2028"


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    """``installation(name)``: the settings of an empty one, with a database of this kind."""

    def settings(name: str) -> Settings:
        values: dict[str, Any] = {"STREAMCHAT_DATA_DIR": tmp_path / name}
        if request.param == "postgresql":
            values["STREAMCHAT_DATABASE_URL"] = request.getfixturevalue("postgres").new_database()
        return Settings(**values)

    return settings


def tables(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    address = read_address(settings.database)
    engine = create_engine(address.url.set(drivername="sqlite" if address.file else "postgresql+psycopg"))
    with engine.connect() as connection:
        names = [name for name in inspect(connection).get_table_names() if not name.startswith("message_words_")]
        contents = {
            name: sorted(map(tuple, connection.execute(text(f'SELECT * FROM "{name}"'))), key=repr) for name in names
        }
    engine.dispose()
    return contents


async def ask(storage: Storage, key: str) -> None:
    new = NewRun(conversation_id=None, client_message_id=key, parts=[TextPart(f"{key} {SAID}")], model="m:x")
    await storage.begin("local", new, worker="w")


async def fill(settings: Settings, count: int) -> None:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    storage = Storage(settings.database)
    await storage.open()
    for number in range(count):
        await ask(storage, f"question {number}")
    await storage.close()


async def upload(settings: Settings, content: bytes) -> FileInfo:
    storage = Storage(settings.database)
    await storage.open()
    info = await storage.add_file("local", CheckedFile("a.png", "image/png", content), quota=10**6)
    await storage.close()
    assert info is not None
    return info


async def content_of(settings: Settings, file: FileInfo) -> bytes:
    storage = Storage(settings.database)
    await storage.open()
    content = await storage.file_content(await storage.file("local", file.id))
    await storage.close()
    return content


def test_what_is_restored_is_what_was_there(installation: Installation, tmp_path: Path):
    """Every row and every uploaded file; backup and restored database can be read by their owner alone."""
    source, target = installation("source"), installation("target")
    asyncio.run(fill(source, 20))
    picture = bytes(range(256)) * 100
    uploaded = asyncio.run(upload(source, picture))
    file = tmp_path / "all.backup"

    assert str(file) in backup.backup(source, file)
    assert str(file) in backup.restore(target, file)

    assert tables(target) == tables(source)
    assert asyncio.run(content_of(target, uploaded)) == picture
    assert file.stat().st_mode & 0o77 == 0
    if (database := read_address(target.database).file) is not None:
        assert database.stat().st_mode & 0o77 == 0
    assert [path.name for path in target.data_dir.iterdir() if path.name.startswith(".")] == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_backup_under_load_is_one_moment(installation: Installation, tmp_path: Path):
    """While questions are stored, one after the other: what is in it is all up to one of them, and nothing waits."""
    source, target = installation("source"), installation("target")
    asyncio.run(fill(source, 1))

    async def write_meanwhile() -> int:
        storage = Storage(source.database)
        await storage.open()
        asked = 0
        copying = None
        while copying is None or not copying.done():
            await ask(storage, f"later {asked:05}")
            asked += 1
            if asked == 5:
                copying = asyncio.create_task(asyncio.to_thread(backup.backup, source, tmp_path / "all.backup"))
        await copying
        await storage.close()
        return asked

    asked = asyncio.run(write_meanwhile())
    backup.restore(target, tmp_path / "all.backup")
    restored = tables(target)
    keys = sorted({key for row in restored["message"] for key in re.findall(r"later \d+", repr(row))})
    assert keys == [f"later {number:05}" for number in range(len(keys))]
    assert 5 <= len(keys) <= asked
    assert len(restored["conversation"]) == 1 + len(keys)


def test_a_restored_installation_goes_on(installation: Installation, tmp_path: Path):
    """Search, new questions: the restored database is used like any other."""
    source, target = installation("source"), installation("target")
    asyncio.run(fill(source, 3))
    backup.backup(source, tmp_path / "all.backup")
    backup.restore(target, tmp_path / "all.backup")

    async def use() -> int:
        storage = Storage(target.database)
        await storage.open()
        await ask(storage, "one more")
        rows = await storage.conversations("local")
        await storage.close()
        return len(rows)

    assert asyncio.run(use()) == 4


def test_nothing_is_overwritten(installation: Installation, tmp_path: Path):
    """Neither a file by a backup, nor data by a restore."""
    source, target = installation("source"), installation("target")
    asyncio.run(fill(source, 1))
    asyncio.run(fill(target, 2))
    file = tmp_path / "all.backup"
    backup.backup(source, file)
    content, before = file.read_bytes(), tables(target)
    with pytest.raises(BackupError, match="exists already"):
        backup.backup(source, file)
    with pytest.raises(BackupError, match=r"overwritten"):
        backup.restore(target, file)
    assert file.read_bytes() == content
    assert tables(target) == before


@pytest.mark.parametrize("part", [0.05, 0.5, 0.9])
def test_half_a_backup_restores_nothing(installation: Installation, tmp_path: Path, part: float):
    source, target = installation("source"), installation("target")
    asyncio.run(fill(source, 50))
    file = tmp_path / "all.backup"
    backup.backup(source, file)
    content = file.read_bytes().rstrip(b"\0")
    file.write_bytes(content[: int(len(content) * part)])
    with pytest.raises((BackupError, StorageError)):
        backup.restore(target, file)
    assert not (target.data_dir / "streamchat.db").exists()
    if target.database_url is not None:
        assert tables(target) == {}


def archive(file: Path, entries: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w") as tar:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file


MANIFEST = {"format": backup.FORMAT, "version": "x", "database": backup.SQLITE}


@pytest.mark.parametrize(
    "entries",
    [
        {"something": b"else"},
        {backup.MANIFEST: b"no JSON"},
        {backup.MANIFEST: b"[]"},
        {backup.MANIFEST: json.dumps(MANIFEST | {"format": 2}).encode()},
        {backup.MANIFEST: json.dumps(MANIFEST).encode()},
        {backup.MANIFEST: json.dumps(MANIFEST).encode(), backup.SQLITE: b"no database" * 1000},
        {backup.MANIFEST: json.dumps(MANIFEST).encode(), "../outside": b"x", backup.SQLITE: b""},
        {backup.MANIFEST: json.dumps(MANIFEST | {"database": backup.POSTGRES}).encode()},
    ],
)
def test_another_file_is_refused(entries: dict[str, bytes], tmp_path: Path):
    """Whatever is in it: one sentence, and the data folder stays empty."""
    settings = Settings(STREAMCHAT_DATA_DIR=tmp_path / "target")
    with pytest.raises(BackupError):
        backup.restore(settings, archive(tmp_path / "file", entries))
    assert list(tmp_path.glob("target/**/*")) == []
    assert not (tmp_path / "outside").exists()


def run(*arguments: str, **settings: str) -> tuple[int, str, str]:
    done = completed(*arguments, **settings)
    return done.returncode, done.stdout, done.stderr


# A program of its own that becomes the command: between ``fork`` and ``exec`` of this process, which may have used
# gRPC, gRPC's handlers for forks run, and end it now and then.
ON_A_FULL_DISK = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
os.execv(sys.executable, [sys.executable, "-m", "streamchat", *sys.argv[1:]])
"""


def run_on_full_disk(*arguments: str, **settings: str) -> tuple[int, str, str]:
    """Have the kernel refuse to write more to a file than a small part of a database."""
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, *arguments],
        cwd=ROOT,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_commands(tmp_path: Path):
    """As a person types them; what goes wrong is one line and exit code 1."""
    source = Settings(STREAMCHAT_DATA_DIR=tmp_path / "source")
    asyncio.run(fill(source, 2))
    file = str(tmp_path / "all.backup")
    assert run("backup", file, STREAMCHAT_DATA_DIR=str(source.data_dir))[0] == 0
    code, out, _ = run("restore", file, "--data-dir", str(tmp_path / "target"))
    assert code == 0
    assert out.count("\n") == 1
    target = Settings(STREAMCHAT_DATA_DIR=tmp_path / "target")
    assert tables(target) == tables(source)
    for arguments in (("restore", file, "--data-dir", str(tmp_path / "target")), ("restore", str(tmp_path / "no"))):
        code, out, error = run(*arguments, STREAMCHAT_DATA_DIR=str(tmp_path / "third"))
        assert (code, out, error.count("\n")) == (1, "", 1)


def test_a_full_disk_leaves_no_half_restore(tmp_path: Path):
    """One line, nothing in the data folder; with room the same file is restored there."""
    source = Settings(STREAMCHAT_DATA_DIR=tmp_path / "source")
    asyncio.run(fill(source, 50))
    file, target = tmp_path / "all.backup", Settings(STREAMCHAT_DATA_DIR=tmp_path / "target")
    backup.backup(source, file)
    code, out, error = run_on_full_disk("restore", str(file), "--data-dir", str(target.data_dir))
    assert (code, out, error.count("\n")) == (1, "", 1), error
    assert not target.data_dir.exists() or list(target.data_dir.iterdir()) == []
    backup.restore(target, file)
    assert tables(target) == tables(source)


def test_a_full_disk_leaves_no_half_backup(tmp_path: Path):
    """The kernel refuses to write more: one line, and no file that looks like a backup."""
    source = Settings(STREAMCHAT_DATA_DIR=tmp_path / "source")
    asyncio.run(fill(source, 50))
    folder = tmp_path / "backups"
    folder.mkdir()
    code, out, error = run_on_full_disk("backup", str(folder / "all.backup"), STREAMCHAT_DATA_DIR=str(source.data_dir))
    assert (code, out, error.count("\n")) == (1, "", 1), error
    assert list(folder.iterdir()) == []


def test_no_password_is_shown(postgres: Any, tmp_path: Path):
    """Where PostgreSQL refuses: its reason and our address, not the password."""
    postgres.execute(
        "DO $$ BEGIN CREATE ROLE guarded LOGIN PASSWORD 'right'; EXCEPTION WHEN duplicate_object THEN END $$"
    )
    url = postgres.new_database().replace("postgres@", "guarded:s3cret@")
    settings = Settings(STREAMCHAT_DATA_DIR=tmp_path, STREAMCHAT_DATABASE_URL=url)
    with pytest.raises(StorageError) as error:
        backup.backup(settings, tmp_path / "all.backup")
    assert "s3cret" not in error.value.user_message
    assert "\n" not in error.value.user_message
