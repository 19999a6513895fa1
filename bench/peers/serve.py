"""A child process: the AI SDK's minimal app, from its folder; becomes Bun, so that its process is the server's."""

from __future__ import annotations

import os

from bench.peers.install import FOLDER
from streamchat import bun

if __name__ == "__main__":
    os.chdir(FOLDER)
    os.execv(bun.path(), [bun.path(), "server.ts"])
