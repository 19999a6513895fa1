"""What the front end imports is what Reflex installs, in the same versions that tests and types use."""

from __future__ import annotations

import json
import re
from pathlib import Path

from streamchat.chat.tool_results import IMAGE_TYPES
from streamchat.ui.bundle_only import BundleOnlyPlugin
from tests import ROOT

SOURCES = sorted((ROOT / "assets" / "chat").rglob("*.ts*"))
IMPORT = re.compile(r"""(?:from|import)\s*\(?\s*"([^".$][^"]*)\"""")


def locked() -> dict[str, str]:
    package = json.loads((ROOT / "reflex.lock" / "package.json").read_text())
    return {name: version.removeprefix("v") for name, version in package["dependencies"].items()}


def package_of(module: str) -> str:
    return "/".join(module.split("/")[: 2 if module.startswith("@") else 1])


def test_whatever_is_imported_is_locked() -> None:
    """A build on another machine finds each package that a component imports, not only where ours are installed."""
    types_only = {"hast", "mdast"}
    imported = {package_of(module) for source in SOURCES for module in IMPORT.findall(source.read_text())}
    assert {"react", "streamdown", "lucide-react"} <= imported
    assert imported - types_only <= set(locked())


def test_tests_and_types_use_the_locked_versions() -> None:
    """``package.json`` pins exactly, and has no other version of anything that the page is built from."""
    versions = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    lock = (ROOT / "reflex.lock" / "bun.lock").read_text()
    built = dict(re.findall(r'^    "([^"]+)": \["(?:@?[^"@]+)@v?([^"]+)"', lock, re.MULTILINE))
    assert len(built) > 100
    assert {name: built[name] for name in versions if name in built} == {
        name: version for name, version in versions.items() if name in built
    }


def test_pictures_are_the_same_on_both_sides() -> None:
    """The page shows the types of pictures that the server lets through, and no other."""
    source = (ROOT / "assets" / "chat" / "common" / "picture-types.ts").read_text()
    assert set(re.findall(r'"(image/[^"]+)"', source)) == set(IMAGE_TYPES)


def test_sources_are_not_published(tmp_path: Path) -> None:
    """Only the client for other pages stays beside the bundle; the sources of an earlier version go too."""
    for name in (
        "chat/store/frames.ts",
        "chat/common/base.css",
        "use-run.js",
        "store.js",
        "tool.css",
        "shell.jsx",
        "streamchat-client.js",
        "stream-chat.js",
        "favicon.svg",
        "index.html",
        "assets/page-1.js",
        "assets/page-1.css",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    BundleOnlyPlugin().post_build(static_dir=tmp_path)
    left = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    scripts = {"streamchat-client.js", "stream-chat.js"}
    assert left == scripts | {"favicon.svg", "index.html", "assets/page-1.js", "assets/page-1.css"}
    assert not (tmp_path / "chat").exists()
