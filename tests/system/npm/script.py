"""A script in Bun that is asked line by line: to start it and to load its packages costs more than what it does."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer
from typing import Any

from streamchat import bun

PATIENCE = 50


class Script:
    """Runs in the folder of its packages. It is begun when it is first asked, and anew after it failed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._errors = TemporaryFile("w+")
        self._process: subprocess.Popen[str] | None = None

    def ask(self, **options: Any) -> dict[str, Any]:
        """What the script answers to these options."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        guard = Timer(PATIENCE, process.kill)
        guard.start()
        try:
            process.stdin.write(json.dumps(options) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        finally:
            guard.cancel()
        if not line:
            self._end()
            self._errors.seek(0)
            raise AssertionError(self._errors.read()[-4000:])
        return json.loads(line)

    def close(self) -> None:
        """For good."""
        self._end()
        self._errors.close()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [bun.path(), self._file.name],
            cwd=self._file.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ,
        )
