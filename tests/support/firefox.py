"""Debian's Firefox, driven by WebDriver BiDi over its own socket.

Playwright and Selenium both want a Firefox, or a driver, that Debian does not package. What a test needs of the
protocol is a page that is loaded, a script that is evaluated in it, keys, and what its console said.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PROGRAM = "firefox-esr"
START_SECONDS = 120
PATIENCE = 60.0  # seconds
_LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
# Nothing is fetched that the page did not ask for.
_SETTINGS = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.push.connection.enabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}


class Firefox:
    """One window with one tab. ``errors``: what the console reported as an error since the start."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which(PROGRAM)
        assert program is not None, f"there is no {PROGRAM}: scripts/setup system installs it"
        (folder / "user.js").write_text(
            "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _SETTINGS.items())
        )
        log = folder / "firefox.log"
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [program, "--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port", "0"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "MOZ_HEADLESS": "1"},
            )
        self._number = 0
        self._open = ExitStack()
        self.errors: list[str] = []
        try:
            socket = connect(f"{self._address(log)}/session", max_size=None)
            self._socket: ClientConnection = self._open.enter_context(socket)
            self._call("session.new", capabilities={})
            self._call("session.subscribe", events=["log.entryAdded"])
            self._tab: str = self._call("browsingContext.getTree")["contexts"][0]["context"]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._open.close()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def size(self, width: int, height: int) -> None:
        self._call("browsingContext.setViewport", context=self._tab, viewport={"width": width, "height": height})

    def open(self, url: str) -> None:
        self._call("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def reload(self) -> None:
        self._call("browsingContext.reload", context=self._tab, wait="complete")

    def evaluate(self, script: str) -> Any:
        """Return what an expression is in the page, as JSON; a promise is waited for."""
        answer = self._call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({script})) ?? 'null')()",
            target={"context": self._tab},
            awaitPromise=True,
            userActivation=True,
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    def wait(self, script: str) -> Any:
        """Return the value of an expression once it is true."""
        end = time.monotonic() + PATIENCE
        while not (value := self.evaluate(script)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.05)
        return value

    def keys(self, text: str) -> None:
        """Press one key after the other; those without a character by WebDriver's code points (``\\ue007``: Enter)."""
        steps = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keyboard", "actions": steps}]
        self._call("input.performActions", context=self._tab, actions=actions)

    def click(self, selector: str) -> None:
        """Click into the middle of the first element that matches."""
        box = self.wait(
            f"(e => e && (e => ({{x: e.x + e.width / 2, y: e.y + e.height / 2}}))(e.getBoundingClientRect()))"
            f"(document.querySelector({json.dumps(selector)}))"
        )
        steps = [
            {"type": "pointerMove", "x": round(box["x"]), "y": round(box["y"])},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._call(
            "input.performActions", context=self._tab, actions=[{"type": "pointer", "id": "mouse", "actions": steps}]
        )

    def _address(self, log: Path) -> str:
        end = time.monotonic() + START_SECONDS
        while not (found := _LISTENING.search(log.read_text(errors="replace"))):
            assert self._process.poll() is None, log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < end, "Firefox does not start"
            time.sleep(0.05)
        return found[1]

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE))
            if message.get("method") == "log.entryAdded" and message["params"]["level"] == "error":
                self.errors.append(str(message["params"]["text"]))
            if message.get("id") == self._number:
                assert message["type"] == "success", message
                return message["result"]
