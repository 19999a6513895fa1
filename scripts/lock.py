"""Resolve the Python dependencies anew into requirements/, with hashes and without an index address."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMON = ["--generate-hashes", "--no-emit-index-url", "--python-version", "3.11", "--universal", "--quiet"]


def compile_lock(*arguments: str, given: str | None = None) -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", *COMMON, *arguments]
    subprocess.run(command, cwd=ROOT, check=True, input=given, text=True, stdout=subprocess.DEVNULL)


local = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["local"]
compile_lock("pyproject.toml", "-o", "requirements/app.txt")
compile_lock("pyproject.toml", "--group", "dev", "-c", "requirements/app.txt", "-o", "requirements/dev.txt")
compile_lock("-", "--no-deps", "-o", "requirements/local.txt", given="\n".join(local))
print("requirements/app.txt, dev.txt and local.txt are resolved")
