"""``streamchat backup`` and ``restore``: all data of an installation in one file.

The file is a tar archive: ``manifest.json`` first, then the database (an SQLite file, or a dump by ``pg_dump``), which
has everything: uploaded files too. Rules:

* A backup is a consistent copy, taken while the server runs, and is complete or not there: it is written under another
  name and renamed at the end.
* A restore never overwrites data. It writes into an empty data folder or an empty PostgreSQL database, and either
  everything is there afterwards or nothing.
* A backup has no settings and so no keys, but all conversations: only its owner may read the file.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from streamchat import __version__
from streamchat.environment import child_environment
from streamchat.errors import StorageError, StreamchatError
from streamchat.settings import Settings
from streamchat.storage import Storage
from streamchat.storage.address import Address, read_address

FORMAT = 1
MANIFEST, SQLITE, POSTGRES = "manifest.json", "streamchat.db", "postgresql.dump"
_MAX_MANIFEST = 100_000


class BackupError(StreamchatError):
    """A backup that could not be written or restored. Nothing was changed."""

    kind = "storage"


def backup(settings: Settings, file: Path) -> str:
    """Write a backup to ``file``. Returns a sentence about it. Raises ``BackupError``, ``StorageError``."""
    if file.exists():
        raise BackupError(f"{file} exists already. Choose another name.")
    address = read_address(settings.database)
    if address.file is not None and not address.file.exists():
        raise BackupError(f"There is no database at {address.shown}.")
    with _whole(file) as target, tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".backup-") as folder:
        name = SQLITE if address.file else POSTGRES
        copy = Path(folder) / name
        _copy_sqlite(address, copy) if address.file else _dump_postgres(address, copy)
        manifest = {"format": FORMAT, "version": __version__, "database": name, "created": round(time.time())}
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
            entry = tarfile.TarInfo(MANIFEST)
            content = json.dumps(manifest).encode()
            entry.size, entry.mode, entry.mtime = len(content), 0o600, manifest["created"]
            archive.addfile(entry, io.BytesIO(content))
            archive.add(copy, name, filter=_plain)
    return f"{file} has everything of {address.shown} ({file.stat().st_size / 2**20:,.1f} MB)."


def restore(settings: Settings, file: Path) -> str:
    """Restore a backup into an empty installation. Returns a sentence. Raises ``BackupError``, ``StorageError``."""
    address = read_address(settings.database)
    try:
        with tarfile.open(file, "r:") as archive:
            manifest = _read_manifest(archive, file)
            wanted = SQLITE if address.file else POSTGRES
            if manifest["database"] != wanted:
                kinds = {SQLITE: "SQLite", POSTGRES: "PostgreSQL"}
                raise BackupError(
                    f"{file} is a backup of {kinds[manifest['database']]}, and this installation uses {kinds[wanted]}. "
                    "STREAMCHAT_DATABASE_URL chooses the database."
                )
            _check_empty(settings, address)
            _restore(settings, address, archive)
    except FileNotFoundError:
        raise BackupError(f"There is no file {file}.") from None
    except (tarfile.TarError, EOFError):
        raise BackupError(f"{file} is not a whole backup of streamchat.") from None
    except OSError as error:
        raise BackupError(f"{file} could not be restored: {error.strerror or type(error).__name__}.") from None
    return f"Everything of {file} is in {address.shown}."


@contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """Give the name of a temporary file that becomes ``file`` if the block succeeds, and is removed if not."""
    part = file.with_name(f".{file.name}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        os.link(part, file)  # unlike a rename it does not replace a file that was made meanwhile
    except FileExistsError:
        raise BackupError(f"{file} exists already. Choose another name.") from None
    except sqlite3.Error as error:
        raise BackupError(f"The backup {file} could not be written: {error}.") from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise BackupError(f"The backup {file} could not be written: {why}.") from None
    finally:
        part.unlink(missing_ok=True)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Make an entry readable by its owner alone, whoever that is."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry


def _read_manifest(archive: tarfile.TarFile, file: Path) -> dict[str, Any]:
    entry = archive.next()
    content = archive.extractfile(entry) if entry and entry.name == MANIFEST and entry.size < _MAX_MANIFEST else None
    try:
        manifest = json.loads(content.read()) if content else {}
    except ValueError:
        manifest = {}
    if not isinstance(manifest, dict) or manifest.get("database") not in (SQLITE, POSTGRES):
        raise BackupError(f"{file} is not a backup of streamchat.")
    if manifest.get("format") != FORMAT:
        raise BackupError(f"{file} was written by another version of streamchat ({manifest.get('version')}).")
    return manifest


def _check_empty(settings: Settings, address: Address) -> None:
    """Raise ``BackupError`` if there is anything that a restore could destroy."""
    full = "Restore into an empty {}: it is not overwritten."
    if address.file is None:
        tables = _psql(address, "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = "
                                "(SELECT oid FROM pg_namespace WHERE nspname = current_schema())")  # fmt: skip
        if tables.strip() != "0":
            raise BackupError(f"{address.shown} has tables already. " + full.format("database"))
    elif address.file.exists():
        raise BackupError(f"{address.file} exists already. " + full.format("data folder (--data-dir)"))


def _restore(settings: Settings, address: Address, archive: tarfile.TarFile) -> None:
    """Unpack beside the target, check, then move into place."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".restore-") as folder:
        unpacked = Path(folder) / "database"
        _unpack(archive, SQLITE if address.file else POSTGRES, unpacked)
        if address.file is not None:
            _place_sqlite(unpacked, address)
        else:
            _load_postgres(address, unpacked)
            asyncio.run(_migrate(settings.database))


def _unpack(archive: tarfile.TarFile, name: str, target: Path) -> None:
    """Write the entry ``name`` to ``target``. Raises ``TarError`` if the archive has none, or anything else."""
    entries = archive.getmembers()
    content = archive.extractfile(entries[-1]) if [entry.name for entry in entries] == [MANIFEST, name] else None
    if content is None:
        raise tarfile.ReadError("these are not the entries of a backup")
    with content, open(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as written:
        shutil.copyfileobj(content, written)


async def _migrate(url: str) -> None:
    """Bring an older schema up to date. Raises ``StorageError`` for a newer one."""
    store = Storage(url)
    await store.open()
    await store.close()


# SQLite


def _copy_sqlite(address: Address, target: Path) -> None:
    """Copy the database while others write it."""
    source = f"file:{quote(str(address.file))}?mode=ro"
    with closing(sqlite3.connect(source, uri=True, timeout=30)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)  # in one step: a copy in several begins anew with every write of another process
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    _check_sqlite(target)


def _place_sqlite(copy: Path, address: Address) -> None:
    if not copy.is_file():
        raise BackupError("The backup has no database in it.")
    _check_sqlite(copy)
    asyncio.run(_migrate(f"sqlite:///{copy}"))
    assert address.file is not None
    address.file.parent.mkdir(parents=True, exist_ok=True)
    copy.chmod(0o600)
    try:
        os.link(copy, address.file)
    except FileExistsError:
        raise BackupError(f"{address.file} exists already. It is not overwritten.") from None
    except OSError:  # a folder on another disk
        part = address.file.with_name(f".{address.file.name}.part")
        shutil.copy2(copy, part)
        part.rename(address.file)


def _check_sqlite(file: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as copy:
            (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        verdict = str(error)
    if verdict != "ok":
        raise BackupError(f"The database in the backup is damaged: {verdict}.")


# PostgreSQL


def _dump_postgres(address: Address, target: Path) -> None:
    _tool(address, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")


def _load_postgres(address: Address, dump: Path) -> None:
    if not dump.is_file():
        raise BackupError("The backup has no database in it.")
    options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    _tool(address, "pg_restore", *options, str(dump), database="--dbname")


def _psql(address: Address, query: str) -> str:
    return _tool(address, "psql", "--no-psqlrc", "--tuples-only", "--no-align", f"--command={query}")


def _tool(address: Address, program: str, *arguments: str, database: str = "--dbname") -> str:
    """Run a program of PostgreSQL's client, and return what it prints. Raises ``BackupError``, ``StorageError``."""
    path = shutil.which(program)
    if path is None:
        raise BackupError(f"{program} is not installed; it is part of PostgreSQL's client programs.")
    # The password goes into the environment: arguments are visible to every user of the machine.
    url = address.url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    password = {"PGPASSWORD": str(address.url.password)} if address.url.password is not None else {}
    libpq = {name: value for name, value in os.environ.items() if name.startswith("PG")}
    done = subprocess.run(
        [path, f"{database}={url}", *arguments],
        env=child_environment() | libpq | {"PGCONNECT_TIMEOUT": "10"} | password,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        why = re.sub(r"^\w+: (error: |FATAL:  ?)?", "", lines[0] if lines else f"exit code {done.returncode}")
        raise StorageError(f"{program} failed for {address.shown}: {why.rstrip('.')}.", reason="tool")
    return done.stdout
