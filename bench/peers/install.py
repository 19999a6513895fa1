"""The packages of the peers, in a folder of their own outside of the checkout's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from streamchat import bun
from streamchat.build import ROOT

FOLDER = ROOT / ".cache" / "peers"
PACKAGES = {
    "ai": "7.0.173",
    "@ai-sdk/react": "4.0.177",
    "@ai-sdk/openai-compatible": "3.0.92",
    "react": "19.3.1",
    "react-dom": "19.3.1",
    "streamdown": "2.7.1",
}
_SOURCES = ("server.ts", "page.tsx")


def install() -> None:
    """Install the packages, and copy the app beside them. Raises ``CalledProcessError`` without the registry."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps({"private": True, "dependencies": PACKAGES})
    manifest = FOLDER / "package.json"
    if not manifest.exists() or manifest.read_text() != wanted:
        manifest.write_text(wanted)
        subprocess.run([bun.path(), "install", "--no-save"], cwd=FOLDER, check=True)
    for name in _SOURCES:
        shutil.copy(Path(__file__).parent / name, FOLDER / name)
