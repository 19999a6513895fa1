"""The simulator in a child of the test's own, so that its journal can be read: what was sent, and who hung up."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from streamchat.processes.subprocess_server import SubprocessServer
from tests.support.loop import LoopThread


class Simulated:
    """``settings``: what makes a server ask this one for ``openai:<scene>``, and offer its tour."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._child = SubprocessServer("simulator", "streamchat.simulator")
        self._address = loop.run(self._child.start(), 60)

    @property
    def settings(self) -> dict[str, str]:
        return {
            "OPENAI_BASE_URL": f"{self._address.url}/v1",
            "OPENAI_API_KEY": self._address.api_key,
            "STREAMCHAT_MODELS": "openai:tour",
        }

    def close(self) -> None:
        self._loop.run(self._child.close())

    def requests(self, message: str) -> list[dict[str, Any]]:
        """The requests whose last user message begins with this, oldest first."""
        headers = {"Authorization": f"Bearer {self._address.api_key}"}
        request = urllib.request.Request(f"{self._address.url}/_log?limit=200", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            told = json.load(answer)["requests"]
        return [record for record in told if record["message"].startswith(message[:200])]

    def wait_asked(self, message: str, timeout: float = 60) -> None:
        """Wait until a request with this message is there."""
        end = time.monotonic() + timeout
        while not self.requests(message):
            assert time.monotonic() < end, "not asked"
            time.sleep(0.05)

    def wait_closed(self, message: str, by: str, timeout: float = 60) -> dict[str, Any]:
        """The only request with this message, once its connection was closed by this side."""
        end = time.monotonic() + timeout
        while True:
            found = self.requests(message)
            if len(found) == 1 and found[0]["closed_by"] is not None:
                assert found[0]["closed_by"] == by, found[0]
                return found[0]
            assert time.monotonic() < end, f"not closed by the {by}: {[(r['closed_by'], r['attempt']) for r in found]}"
            time.sleep(0.05)
