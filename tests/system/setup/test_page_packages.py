"""The page's packages are those of ``reflex.lock/``, whatever else the registry offers."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from reflex_base.constants import PackageJson

from streamchat.build import explain
from tests.support.once import made_once
from tests.system.setup.conftest import ROOT

# What ``reflex run`` and ``reflex export`` do with the packages, without the compilation before it.
INSTALL = """
import sys
from reflex.utils import frontend_skeleton, js_runtimes
from reflex_base.config import get_config
frontend_skeleton.initialize_web_directory()
js_runtimes.install_frontend_packages(set(sys.argv[1:]), get_config())
"""


class Registry:
    """An npm registry on loopback. Every package that Reflex names is there, and each wants ``hidden`` ``^1.0.0``."""

    def __init__(self) -> None:
        packages = {**PackageJson.DEPENDENCIES, **PackageJson.DEV_DEPENDENCIES}
        self._versions = {name: [version.lstrip("v")] for name, version in packages.items()}
        self._versions["hidden"] = ["1.0.0"]
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = registry.answer(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def move_on(self) -> None:
        """Publish a newer release of every package, and a new package."""
        for versions in self._versions.values():
            major, _, rest = versions[0].partition(".")
            versions.append(f"{major}.{int(rest.split('.')[0]) + 50}.0")
        self._versions["brand-new"] = ["1.0.0"]

    def answer(self, path: str) -> bytes | None:
        name, _, file = path.strip("/").replace("%2f", "/").replace("%2F", "/").partition("/-/")
        if name not in self._versions:
            return None
        if file:
            return self._tarball(name, file.removesuffix(".tgz").rpartition("_")[2])
        versions = {version: self._manifest(name, version) for version in self._versions[name]}
        return json.dumps({"name": name, "dist-tags": {"latest": list(versions)[-1]}, "versions": versions}).encode()

    def _manifest(self, name: str, version: str) -> dict[str, object]:
        digest = base64.b64encode(hashlib.sha512(self._tarball(name, version)).digest()).decode()
        wants = {} if name == "hidden" else {"hidden": "^1.0.0"}
        url = f"{self.url}/{name}/-/file_{version}.tgz"
        return {"name": name, "version": version, "dependencies": wants,
                "dist": {"tarball": url, "integrity": f"sha512-{digest}"}}  # fmt: skip

    def _tarball(self, name: str, version: str) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            content = json.dumps({"name": name, "version": version}).encode()
            entry = tarfile.TarInfo("package/package.json")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        return gzip.compress(buffer.getvalue(), mtime=0)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def registry() -> Iterator[Registry]:
    server = Registry()
    yield server
    server.close()


class Page:
    """A folder with this project's settings for Reflex and Bun, and nothing of its lock."""

    def __init__(self, folder: Path, registry: str) -> None:
        self.folder = folder
        for name in ("rxconfig.py", ".npmrc", "bunfig.toml"):
            if (ROOT / name).exists():
                shutil.copy2(ROOT / name, folder / name)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "REFLEX_TELEMETRY_ENABLED": "false",
            "REFLEX_DIR": str(folder / "reflex"),
            "BUN_INSTALL_CACHE_DIR": str(folder / "cache"),
            "NPM_CONFIG_REGISTRY": registry,
        }

    def install(self, *packages: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {**self.environment, **environment}
        command = [sys.executable, "-c", INSTALL, *packages]
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True)

    def write_lock(self) -> None:
        """As ``scripts/lock.py`` does: without the file that forbids it."""
        aside = self.folder / "aside"
        if (self.folder / "bunfig.toml").exists():
            (self.folder / "bunfig.toml").rename(aside)
        done = self.install()
        assert done.returncode == 0, done.stdout + done.stderr
        if aside.exists():
            aside.rename(self.folder / "bunfig.toml")
        package = self.folder / "reflex.lock" / "package.json"
        package.write_text(json.dumps(json.loads(package.read_text())))
        for name in (".web", "cache"):
            shutil.rmtree(self.folder / name)

    def lock(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.folder / "reflex.lock").iterdir()}

    def installed(self) -> dict[str, str]:
        manifests = [json.loads(path.read_text()) for path in self.folder.glob(".web/node_modules/**/package.json")]
        return {manifest["name"]: manifest["version"] for manifest in manifests}


@pytest.fixture(scope="session")
def early_lock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose lock was written before the registry moved on, to be copied."""

    def make(folder: Path) -> None:
        server = Registry()
        try:
            Page(folder, server.url).write_lock()
        finally:
            server.close()
        (folder / "registry").write_text(server.url)

    return made_once(tmp_path_factory, "early-lock", make)


@pytest.fixture
def page(tmp_path: Path, registry: Registry, early_lock: Path) -> Page:
    """A page with that lock, and a registry that has moved on."""
    page = Page(tmp_path, registry.url)
    shutil.copytree(early_lock / "reflex.lock", tmp_path / "reflex.lock")
    lock = tmp_path / "reflex.lock" / "bun.lock"  # which has the address of a registry that is not npm's own
    lock.write_text(lock.read_text().replace((early_lock / "registry").read_text(), registry.url))
    registry.move_on()
    return page


def test_newer_releases_change_nothing_of_the_page(page: Page):
    """With newer releases of every package, direct and not, the locked ones are installed and the lock stays."""
    before = page.lock()
    done = page.install()
    assert done.returncode == 0, done.stdout + done.stderr
    assert page.installed()["hidden"] == "1.0.0"
    assert page.installed()["react"] == PackageJson.DEPENDENCIES["react"]
    assert page.lock() == before


@pytest.mark.parametrize("package", ["brand-new", "brand-new@1.0.0", "hidden@1.50.0"])
def test_what_is_not_locked_is_refused(package: str, page: Page):
    """A package, or a version, that the page wants and the lock has not: refused, and nothing is written."""
    before = page.lock()
    done = page.install(package)
    assert done.returncode != 0
    assert "lockfile is frozen" in done.stdout + done.stderr
    assert page.lock() == before
    assert "brand-new" not in page.installed()


def test_npm_does_not_take_over(page: Page):
    """A user who has Reflex use npm elsewhere gets the locked packages here too, and the lock stays."""
    before = page.lock()
    done = page.install(REFLEX_USE_NPM="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert page.installed()["hidden"] == "1.0.0"
    assert page.lock() == before


def build(page: Page) -> str:
    """Build the real page of this project in that folder. Returns the one sentence that it is refused with."""
    for name in ("streamchat", "assets", "reflex.lock"):
        if not (page.folder / name).exists():
            shutil.copytree(ROOT / name, page.folder / name)
    command = [sys.executable, "-m", "streamchat", "build"]
    env = {**page.environment, "PYTHONPATH": ""}
    done = subprocess.run(command, cwd=page.folder, env=env, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert (page.folder / done.stderr.strip().rpartition("Details: ")[2]).stat().st_size > 0
    return done.stderr.strip()


def refused(page: Page) -> str:
    """Why the page's packages are not installed, as a build says it. That it does: see below."""
    before = page.lock()
    done = page.install()
    assert done.returncode != 0
    assert page.lock() == before
    return explain(done.stdout + done.stderr, page.folder)


def test_no_network_for_the_page(page: Page, registry: Registry):
    """Without the registry that is said, and the lock stays."""
    registry.close()
    assert "the npm registry cannot be reached" in refused(page)


def want(page: Page, version: str) -> None:
    """Another React than the one that was locked, in ``package.json``."""
    package = json.loads((page.folder / "reflex.lock" / "package.json").read_text())
    package["dependencies"]["react"] = version
    (page.folder / "reflex.lock" / "package.json").write_text(json.dumps(package))


def test_a_version_that_the_registry_has_not(page: Page):
    """A ``package.json`` that is not the one that was locked: the command that mends it is named."""
    want(page, "19.0.0")
    assert "`make lock`" in refused(page)


def test_a_lock_that_does_not_fit_is_said(tmp_path: Path, registry: Registry):
    """The same with one that it has, and the build of the real page: one sentence, exit code 1, a log that it names."""
    page = Page(tmp_path, registry.url)
    (tmp_path / "requirements").mkdir()
    shutil.copy2(ROOT / "requirements" / "app.txt", tmp_path / "requirements" / "app.txt")
    shutil.copytree(ROOT / "reflex.lock", tmp_path / "reflex.lock")
    want(page, "19.53.0")
    registry.move_on()
    before = page.lock()
    assert "`make lock`" in build(page)
    assert page.lock() == before
