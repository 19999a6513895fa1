"""The command line: what a person can mend is one sentence and exit code 1, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devservers.app import ROOT, completed, environment
from devservers.ports import free_port
from streamchat import __version__, build, cli

SENTENCE = re.compile(r"[A-Z][^\n]*(\.| PORT=\d+)")


def streamchat(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with these settings and no others, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "streamchat", *arguments],
        cwd=ROOT,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
    )


def refused(**settings: str) -> str:
    """The one sentence with which ``run`` refuses these settings."""
    done = completed("run", **{"PORT": str(free_port())} | settings)
    assert done.returncode == 1, (done.stdout, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert SENTENCE.fullmatch(lines[0]), lines[0]
    assert "Traceback" not in done.stdout
    return lines[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_module_that_does_not_import_is_named(tmp_path: Path):
    """`run my_app.py` reads the file, and says in one sentence what is wrong with it."""
    file = tmp_path / "my_app.py"
    file.write_text("from streamchat import model\n@model\ndef f(): ...")
    done = streamchat("run", str(file), PORT=str(free_port()), STREAMCHAT_DATA_DIR=str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert str(file) in last
    assert "takes one argument, the request" in last
    assert not (tmp_path / "data").exists()


def test_a_taken_port_is_named_with_a_way_out(taken: int, tmp_path: Path):
    """Somebody listens there already: the port is named, another is proposed, and no database is begun."""
    told = refused(PORT=str(taken), STREAMCHAT_DATA_DIR=str(tmp_path / "data"))
    assert str(taken) in told
    assert "in use" in told
    assert "PORT=" in told
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "65536"),
        ("STREAMCHAT_MODELS", "gpt-4"),
        ("STREAMCHAT_SERVERS", "ollama"),
        ("OPENAI_BASE_URL", "localhost:1234"),
        ("ANTHROPIC_BASE_URL", "ftp://example.com"),
        ("STREAMCHAT_IDLE_TIMEOUT", "nan"),
        ("STREAMCHAT_DATABASE_URL", "nonsense"),
        ("STREAMCHAT_DATABASE_URL", "mysql://localhost/x"),
    ],
)
def test_a_bad_setting_stops_the_start_with_its_name(name: str, value: str, tmp_path: Path):
    """A value that cannot work is one sentence in which a person finds the variable or what was in it."""
    told = refused(**{"STREAMCHAT_DATA_DIR": str(tmp_path), name: value})
    assert name in told or value.partition(":")[0] in told
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", ["STREAMCHAT_HOST", "STREAMCHAT_GRPC_HOST"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_an_open_address_needs_somebody_who_signs_in(name: str, host: str, tmp_path: Path):
    """Where others could come in unasked, the start says the three ways to prevent it, and nothing is begun."""
    told = refused(**{"STREAMCHAT_DATA_DIR": str(tmp_path / "data"), name: host})
    for setting in (name, "STREAMCHAT_ACCOUNTS", "STREAMCHAT_PASSWORD", "STREAMCHAT_TRUSTED_USER_HEADER"):
        assert setting in told
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"STREAMCHAT_HOST": "everywhere"},
        {"STREAMCHAT_ACCOUNTS": "yes"},
        {"STREAMCHAT_PASSWORD": "short"},
        {"STREAMCHAT_TRUSTED_USER_HEADER": "X-User"},
        {"STREAMCHAT_TRUSTED_PROXIES": "proxy.example"},
        {"STREAMCHAT_TRUSTED_PROXIES": "10.0.0.0/8", "STREAMCHAT_HOST": "0.0.0.0"},
        {"STREAMCHAT_TRUSTED_USER_HEADER": "X-User", "STREAMCHAT_TRUSTED_PROXIES": "proxy.example"},
        {"STREAMCHAT_OIDC_ISSUER": "https://login.example", "STREAMCHAT_OIDC_CLIENT_ID": "chat"},
        {"STREAMCHAT_OIDC_ISSUER": "login.example", "STREAMCHAT_ACCOUNTS": "open"},
        {"STREAMCHAT_ACCOUNTS": "open", "STREAMCHAT_PASSWORD": "long enough"},
        {"STREAMCHAT_PUBLIC_URL": "https://host/chat?x=1"},
        {"STREAMCHAT_PUBLIC_URL": "https://host/a b"},
    ],
)
def test_half_a_way_to_come_in_stops_the_start(settings: dict[str, str], tmp_path: Path):
    """A setting that is wrong, or needs another one, is named; a password is not shown."""
    told = refused(**{"STREAMCHAT_DATA_DIR": str(tmp_path), **settings})
    assert any(name in told for name in settings)
    assert "short" not in told


async def test_what_is_written_is_sent_at_once():
    """A connection does not wait with the rest of an answer until the reader has confirmed its beginning."""
    accepted = asyncio.Queue[asyncio.StreamWriter]()

    async def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait(writer)

    for listener in cli._listen("127.0.0.1", 0):
        async with await asyncio.start_server(look, sock=listener):
            _, client = await asyncio.open_connection(*listener.getsockname()[:2])
            server = await accepted.get()
            option = server.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            for writer in (client, server):
                writer.close()
                await writer.wait_closed()
            assert option


def test_an_address_of_another_machine_cannot_be_listened_on(tmp_path: Path):
    """What is not this machine's is one sentence."""
    done = completed(
        "run",
        *("--host", "192.0.2.7", "--port", str(free_port())),
        STREAMCHAT_DATA_DIR=str(tmp_path),
        STREAMCHAT_PASSWORD="long enough",
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "192.0.2.7" in done.stderr


def test_several_bad_settings_are_one_sentence_without_a_secret(tmp_path: Path):
    """Every bad setting is named at once; the key that is set beside them is not shown."""
    told = refused(PORT="abc", STREAMCHAT_RETRIES="many", OPENAI_API_KEY="sk-CANARY-1234", OPENAI_BASE_URL="x")
    assert all(name in told for name in ("PORT", "STREAMCHAT_RETRIES", "OPENAI_BASE_URL"))
    assert "CANARY" not in told


@pytest.mark.parametrize("damage", ["not-a-database", "truncated", "overwritten"])
def test_a_damaged_database_is_said_and_left_as_it_is(damage: str, tmp_path: Path):
    """A file that is no whole database stops the start; not a byte of it is changed, nothing is put in its place."""
    file = tmp_path / "streamchat.db"
    if damage == "not-a-database":
        file.write_bytes(b"these are somebody's notes, not a database\n" * 200)
    else:
        connection = sqlite3.connect(file)
        connection.execute("create table keep (text)")
        connection.executemany("insert into keep values (?)", [("x" * 500,)] * 200)
        connection.commit()
        connection.close()
        whole = file.read_bytes()
        file.write_bytes(whole[:5000] if damage == "truncated" else whole[:100] + b"\xa5" * (len(whole) - 100))
    before = contents(tmp_path)
    told = refused(STREAMCHAT_DATA_DIR=str(tmp_path))
    assert str(file) in told
    after = contents(tmp_path)
    assert {name: after.get(name) for name in before} == before


def test_a_data_directory_that_is_a_file_is_said(tmp_path: Path):
    """The file stays what it was."""
    place = tmp_path / "data"
    place.write_text("mine")
    assert str(place) in refused(STREAMCHAT_DATA_DIR=str(place))
    assert place.read_text() == "mine"


def test_a_database_that_is_a_directory_is_said(tmp_path: Path):
    """One sentence, and the directory stays."""
    (tmp_path / "streamchat.db").mkdir()
    assert "streamchat.db" in refused(STREAMCHAT_DATA_DIR=str(tmp_path))
    assert (tmp_path / "streamchat.db").is_dir()


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Path]:
    """A directory that not even this process's user can write into, with an empty database in it."""
    folder = tmp_path / "sealed"
    folder.mkdir()
    sqlite3.connect(folder / "streamchat.db").close()
    (folder / "streamchat.db").touch()
    folder.chmod(0o555)
    (folder / "streamchat.db").chmod(0o444)
    chattr = shutil.which("chattr") if os.geteuid() == 0 else None
    names = [str(folder / "streamchat.db"), str(folder)]
    if chattr:
        subprocess.run([chattr, "+i", *names], capture_output=True, check=False)
    if os.access(folder, os.W_OK):
        try:
            (folder / "probe").touch()
        except OSError:
            pass
        else:
            pytest.skip("root can write everywhere here, and chattr +i is not allowed")
    yield folder
    if chattr:
        subprocess.run([chattr, "-i", *reversed(names)], capture_output=True, check=False)
    folder.chmod(0o755)


def test_a_read_only_data_directory_is_said(sealed: Path):
    """A place that cannot be written is one sentence that names it, before anybody types a message."""
    assert str(sealed) in refused(STREAMCHAT_DATA_DIR=str(sealed))


def test_a_data_directory_that_cannot_be_made_is_said():
    """A directory below what is no directory: one sentence that names it."""
    assert "/dev/null/data" in refused(STREAMCHAT_DATA_DIR="/dev/null/data")


def test_a_database_server_that_is_away_is_one_sentence_without_its_password(tmp_path: Path):
    """The password of the address is in no output."""
    address = f"postgresql://someone:CANARY-secret@127.0.0.1:{free_port()}/chat"
    done = completed(
        "run", PORT=str(free_port()), STREAMCHAT_DATABASE_URL=address, STREAMCHAT_DATA_DIR=str(tmp_path / "data")
    )
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "CANARY" not in done.stdout + done.stderr


def test_version_and_help():
    """The version is the package's; help names the commands; an unknown command is refused with usage."""
    assert streamchat("--version").stdout.strip() == __version__
    assert "run" in completed("--help").stdout
    wrong = completed("dance")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_a_second_build_builds_nothing():
    """What did not change is not built again: the second call says nothing and touches no file."""
    if not build.is_current():
        build.build()
    folder = ROOT / ".web" / "build"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    done = streamchat("build")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_the_fingerprint_tells_every_input(tmp_path: Path):
    """Any changed, new, renamed or removed file that the page is made of makes another fingerprint."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "a.jsx").write_text("one")
    (tmp_path / "rxconfig.py").write_text("x = 1")
    seen = {build.fingerprint(tmp_path)}
    (tmp_path / "assets" / "a.jsx").write_text("two")
    seen.add(build.fingerprint(tmp_path))
    (tmp_path / "assets" / "b.css").write_text("")
    seen.add(build.fingerprint(tmp_path))
    (tmp_path / "assets" / "b.css").rename(tmp_path / "assets" / "c.css")
    seen.add(build.fingerprint(tmp_path))
    (tmp_path / "rxconfig.py").write_text("x = 2")
    seen.add(build.fingerprint(tmp_path))
    assert len(seen) == 5
    (tmp_path / "assets" / "__pycache__").mkdir()
    (tmp_path / "assets" / "__pycache__" / "x.pyc").write_text("made")
    assert build.fingerprint(tmp_path) in seen, "what Python writes beside a module is no input"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")
def test_make_run_only_starts_the_app_where_all_is_set_up():
    """``make run`` ends in this command line with the port it was given, and offers nothing to a foreign shell."""
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "run", "PORT=4567"],
        cwd=ROOT,
        env=environment({"MAKEFLAGS": "", "MAKELEVEL": ""}),
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("python -m streamchat run")
    help_text = subprocess.run(["make"], cwd=ROOT, env=environment({}), capture_output=True, text=True, timeout=20)
    assert "make run" in help_text.stdout
    assert "make test" in help_text.stdout
