"""Every command in docs/streaming.md runs as it stands, and prints what the page says behind it."""

from __future__ import annotations

import re
import subprocess
from urllib.parse import urlsplit

import pytest

from devservers.app import ROOT, Served, environment

PAGE = (ROOT / "docs" / "streaming.md").read_text()
# What is expected is a regular expression behind an arrow, at the end of a line.
EXPECTED = re.compile(r"\s+# → (.+)$", re.MULTILINE)
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0][:50])
def test_commands(block: str, served: Served, grpc_port: int):
    """The block ends without an error, and each expectation in it is met by its output, in order."""
    expected = EXPECTED.findall(block)
    assert expected, "the page says what a command shows"
    address = urlsplit(served.url)
    settings = {
        "STREAMCHAT_URL": served.url,
        "PORT": str(address.port),
        "STREAMCHAT_GRPC_PORT": str(grpc_port),
    }
    variables = environment(settings)
    variables.pop("PYTHONPATH", None)  # a person's terminal has none
    commands = EXPECTED.sub("", block).replace("localhost:3000", address.netloc)
    command = ["bash", "-euo", "pipefail", "-c", commands]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    rest = done.stdout
    for pattern in expected:
        found = re.search(pattern, rest)
        assert found, f"{pattern} is not in:\n{rest}"
        rest = rest[found.end() :]


def test_every_command_is_run():
    """No other kind of block hides a command."""
    assert len(BLOCKS) == PAGE.count("```") / 2


def test_the_page_names_what_exists():
    """Files and folders of the repository that the page names are there, and so are the pages it leads to."""
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
    for name in re.findall(r"`((?:[\w-]+/)+(?:[\w.-]+)?)`", PAGE):
        candidates = [ROOT / name, ROOT / "streamchat" / name, ROOT / "assets" / "chat" / name]
        assert any(path.exists() for path in candidates), name
