"""The wheel alone serves the page: no checkout, no Bun, no Node, no network, and nowhere to write but at home."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from devservers import installation
from devservers.installation import Installation, ServedInstallation
from devservers.ports import free_port
from devservers.redis import RedisServer
from streamchat import __version__
from tests import ROOT
from tests.support.chat_page import WATCH, ChatPage, Oddities
from tests.system.cluster.test_workers import alive, children

pytestmark = pytest.mark.timeout(170)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away, and make file systems")
NOBODY = 65534


@pytest.fixture
def folder(core: Installation, request: pytest.FixtureRequest) -> Path:
    """An empty folder of the user's, which is also their home."""
    return core.new_folder(re.sub(r"\W+", "-", request.node.name))


def refused(core: Installation, folder: Path, *arguments: str, **settings: str) -> str:
    """The one sentence with which ``streamchat run`` ends."""
    done = core.run("streamchat", "run", *arguments, cwd=folder, settings={"PORT": str(free_port())} | settings)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stdout
    return done.stderr.strip()


def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_a_question_is_answered_in_a_browser(core: Installation, folder: Path, browser: Browser):
    """From an empty folder, as an ordinary user: the page is served, a model answers, the data lie in the platform's
    folder, which is said; the installation is as it was."""
    before = core.files()
    server = ServedInstallation(core, folder, {"STREAMCHAT_MODELS": "simulator:tour"}).start()
    context = browser.new_context()
    context.add_init_script(WATCH)
    try:
        oddities = Oddities(context)
        oddities.own(server.url)
        chat = ChatPage(context.new_page(), server, oddities, server.url).open()
        chat.ask("n=5 rate=100")
        chat.wait_status("finished")
        assert chat.words() == [f"w{number:06}" for number in range(1, 6)]
        assert oddities.unexpected() == []
    finally:
        context.close()
        server.stop()
    data = re.search(r"^Data: (.+)$", server.log, re.MULTILINE)
    assert data, server.log
    assert Path(data[1]) == folder / ".local" / "share" / "streamchat"
    assert (Path(data[1]) / "streamchat.db").is_file()
    assert {path.name for path in folder.iterdir()} <= {".local", ".cache"}, (
        "something was written where it was started"
    )
    assert core.files() == before


def test_several_workers_serve(core: Installation, folder: Path, redis: RedisServer):
    """Workers find the package they belong to, also where the working directory has another ``streamchat``. SIGTERM
    ends everybody in order and in time."""
    (folder / "streamchat.py").write_text("raise SystemExit('another program was run')")
    settings = {"STREAMCHAT_WORKERS": "2", "STREAMCHAT_REDIS_URL": redis.url, "STREAMCHAT_MODELS": "simulator:tour"}
    server = ServedInstallation(core, folder, settings).start()
    try:
        assert server.get("/")[0] == 200
        deadline = time.monotonic() + 60
        while "with 2 workers" not in server.log and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "with 2 workers" in server.log
        started = httpx.post(f"{server.url}/api/runs", json={"message": "n=3 rate=100"}, trust_env=False).json()
        events = httpx.get(f"{server.url}{started['events_url']}", trust_env=False, timeout=60).text
        assert "event: finished" in events
        everybody = [*children(server.pid, "streamchat"), server.pid]
        assert len(everybody) >= 4, "two workers and the simulator"
    finally:
        seconds = server.stop()
    assert seconds < 15
    assert [pid for pid in everybody if alive(pid)] == []


def test_data_lie_where_they_are_wanted(core: Installation, folder: Path):
    """``./data`` if it is there, and ``--data-dir`` before all: said at the start by ``run``, used by ``doctor``. All
    test servers have theirs where ``STREAMCHAT_DATA_DIR`` says."""
    (folder / "data").mkdir()
    settings = {"STREAMCHAT_MODELS": "simulator:tour"}
    done = core.run("streamchat", "doctor", "--json", cwd=folder, settings=settings)
    assert done.returncode == 0, done.stdout + done.stderr
    findings = {finding["topic"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["database"]["text"].startswith(str(folder / "data" / "streamchat.db"))
    assert findings["simulator:tour"] == {"topic": "simulator:tour", "state": "ok", "text": "answers"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = refused(core, folder, "--port", str(taken.getsockname()[1]), "--data-dir", "third")
    assert "--port" in told


def test_what_doctor_finds_broken_is_said_without_a_secret(core: Installation, folder: Path):
    """Exit code 1 if something that was set up does not work; keys and passwords are in no line."""
    settings = {
        "OPENAI_API_KEY": "sk-CANARY",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{free_port()}/v1",
        "STREAMCHAT_MODELS": "openai:some-model",
        "STREAMCHAT_REDIS_URL": f"redis://:CANARY@127.0.0.1:{free_port()}",
    }
    done = core.run("streamchat", "doctor", cwd=folder, settings=settings)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^FAILED +Redis ", done.stdout, re.MULTILINE)
    assert re.search(r"^FAILED +openai:some-model ", done.stdout, re.MULTILINE)
    assert re.search(r"^ok +page ", done.stdout, re.MULTILINE)
    assert "CANARY" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("extra", "name", "value"),
    [
        ("grpc", "STREAMCHAT_GRPC_PORT", "50051"),
        ("mcp", "STREAMCHAT_MCP", "time=mcp-server-time"),
        ("postgres", "STREAMCHAT_DATABASE_URL", "postgresql://localhost/chat"),
    ],
)
def test_a_missing_extra_is_named_when_it_is_asked_for(
    extra: str, name: str, value: str, core: Installation, folder: Path
):
    """The core serves without it; a setting that needs it is one sentence with the command that installs it."""
    assert (
        refused(core, folder, **{name: value}) == f"{name} needs the extra {extra}: pip install 'streamchat[{extra}]'"
    )


def test_tools_without_their_libraries_are_not_offered(core: Installation, folder: Path):
    """The core has the built-in tools that need no further library."""
    program = "from streamchat.tools.builtin import builtin_tools; print(*[tool.name for tool in builtin_tools()])"
    done = core.run("python", "-c", program, cwd=folder)
    assert done.stdout.split() == ["current_time", "search_conversations", "plot"], done.stderr


def test_a_taken_port_is_said(core: Installation, folder: Path):
    """With a way out; nothing is begun."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port} is already in use" in refused(core, folder, PORT=str(port))
    assert list(folder.iterdir()) == []


@root_only
def test_a_data_folder_of_another_user_is_said(core: Installation, folder: Path):
    """It is named, and stays as it is; another folder works."""
    theirs = core.folder / f"{folder.name}-theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, NOBODY, NOBODY)
    assert str(theirs) in refused(core, folder, "--data-dir", str(theirs))
    assert list(theirs.iterdir()) == []


@root_only
def test_a_home_that_cannot_be_written_is_said(core: Installation):
    """An ordinary user in a folder, and with a home, that are not theirs: the data folder is named, and the option."""
    theirs = core.folder / "not-mine"
    theirs.mkdir(mode=0o755)
    os.chown(theirs, NOBODY, NOBODY)
    told = refused(core, theirs)
    assert str(theirs / ".local") in told
    assert "--data-dir" in told
    assert list(theirs.iterdir()) == []


def test_a_database_of_a_newer_version_is_said(core: Installation, folder: Path):
    """It is left as it is."""
    file = folder / "streamchat.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
        connection.commit()
    before = file.read_bytes()
    assert "newer version" in refused(core, folder, "--data-dir", str(folder))
    assert file.read_bytes() == before


@pytest.fixture
def full(folder: Path) -> Iterator[Path]:
    """A file system without space."""
    place = folder / "full"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        (place / "ballast").write_bytes(b"x" * 60 * 1024)
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@root_only
def test_no_space_left_is_said(core: Installation, folder: Path, full: Path):
    """With room again the same start works: nothing half-made is in the way."""
    assert "no space left" in refused(core, folder, "--data-dir", str(full)).lower()
    (full / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(full)], check=True)
    done = core.run(
        "streamchat", "doctor", cwd=folder, settings={"STREAMCHAT_DATA_DIR": str(full), "STREAMCHAT_MODELS": "x:y"}
    )
    assert re.search(r"^ok +database ", done.stdout, re.MULTILINE), done.stdout


def test_an_old_python_is_refused(wheel: Path):
    """By pip, to which the wheel says what it needs; and by the package itself, in one sentence."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"streamchat-{__version__}.dist-info/METADATA").decode()
    assert "\nRequires-Python: >=3.11\n" in metadata
    program = "import sys; sys.version_info = (3, 10, 0); import streamchat"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "streamchat needs Python 3.11 or newer; this is 3.10.\n")


def test_an_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path):
    """The sdist has the page with it, so a wheel is made of it without Bun, Node or a compiler."""
    sdist = installation.build(tmp_path, "sdist")
    (tmp_path / "source").mkdir()
    subprocess.run(["tar", "-xzf", sdist, "-C", tmp_path / "source"], check=True)
    (source,) = (tmp_path / "source").iterdir()
    again = installation.build(tmp_path / "wheel", source=source)
    assert names(again) == names(wheel)
    assert f"streamchat-{__version__}.dist-info/METADATA" in names(wheel)


def test_nothing_of_a_checkout_is_published(wheel: Path):
    """In the wheel are the package and the page as it is served: no sources of the page, no tests, no leftovers."""
    for name in names(wheel):
        assert name.startswith(("streamchat/", f"streamchat-{__version__}.dist-info/")), name
        assert not name.endswith((".tsx", ".ts", ".jsx", ".pyc", ".map")), name


def test_a_wheel_without_a_page_is_not_built(tmp_path: Path):
    """One sentence that says what to do; no wheel is left."""
    for name in ("streamchat", "assets", "proto", "reflex.lock", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "hatch_build.py", "rxconfig.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "make dist" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(tmp_path.glob("dist/*.whl"))
