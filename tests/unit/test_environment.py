"""Child processes inherit what they need, and no secret."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from streamchat import build, reflex_internals
from streamchat.environment import BUILD, DESKTOP, child_environment, is_inherited

SECRETS = {
    "OPENAI_API_KEY": "canary-1", "ANTHROPIC_API_KEY": "canary-2",
    "STREAMCHAT_DATABASE_URL": "postgresql://u:canary-3@h/d",
    "STREAMCHAT_REDIS_URL": "redis://:canary-4@h", "AWS_SECRET_ACCESS_KEY": "canary-5", "GITHUB_TOKEN": "canary-6",
    "DATABASE_URL": "canary-7", "PGPASSWORD": "canary-8", "SOMETHING_OF_THE_COMPANY": "canary-9",
    "NPM_TOKEN": "canary-10",
    "PYTHON_KEYRING_TOKEN": "canary-11", "XDG_SESSION_COOKIE": "canary-12", "npm_config__auth": "canary-13",
    "OMP_LICENSE_KEY": "canary-14", "REFLEX_ACCESS_TOKEN": "canary-15", "SSH_AUTH_SOCK": "canary-16",
}  # fmt: skip
NEEDED = {"PATH": "/bin", "HOME": "/home/u", "LANG": "C.UTF-8", "LC_ALL": "C", "SSL_CERT_FILE": "/c", "TMPDIR": "/t"}


@pytest.mark.parametrize("extra", [(), BUILD, DESKTOP])
def test_no_secret_is_inherited(extra: frozenset[str]) -> None:
    """By an allow-list: a name that nobody has thought of is not inherited either."""
    assert child_environment(extra, SECRETS | NEEDED) == NEEDED


def test_every_child_process_gets_this_environment() -> None:
    """Each module that starts one chooses its variables; only our own workers get all of ours."""
    starts = re.compile(r"subprocess\.(run|Popen|check_output)\(|create_subprocess_(exec|shell)\(|os\.(system|popen)\(")
    package = build.PACKAGE
    starting = [path for path in package.rglob("*.py") if starts.search(path.read_text())]
    assert package / "processes" / "subprocess_server.py" in starting
    careless = [path.name for path in starting if "child_environment(" not in path.read_text()]
    assert careless == ["workers.py"]


def test_a_build_may_use_the_network() -> None:
    """Proxies and registries, in the upper or lower case that people write."""
    proxies = {
        "https_proxy": "http://proxy:3128",
        "HTTP_PROXY": "http://proxy:3128",
        "npm_config_registry": "https://r",
    }
    assert child_environment(BUILD, proxies) == proxies
    assert child_environment((), proxies) == {}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def test_the_build_gets_no_secret(planted: None, tmp_path: Path) -> None:
    """What runs in Reflex's place, found first because it lies in the folder of the build, writes down what it gets."""
    (tmp_path / "reflex").mkdir()
    (tmp_path / ".web" / "build").mkdir(parents=True)
    program = "import json, os\nopen('environment.json', 'w').write(json.dumps(dict(os.environ)))"
    (tmp_path / "reflex" / "__init__.py").touch()
    (tmp_path / "reflex" / "__main__.py").write_text(program)
    for name in ("rxconfig.py", "streamchat/streamchat.py", "streamchat/reflex_internals.py", "requirements/app.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    build.build(tmp_path)
    inherited = json.loads((tmp_path / "environment.json").read_text())
    assert inherited["PATH"] == os.environ["PATH"]
    assert "canary" not in str(inherited)


def test_reflex_gives_no_secret_to_bun(planted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `reflex run`: the programs that build or serve the page get none; its own Python processes get all."""
    from reflex.utils import processes

    monkeypatch.setattr(processes, "new_process", processes.new_process)
    reflex_internals.keep_secrets_from_page_tools(lambda name: is_inherited(name, BUILD))
    reflex_internals.keep_secrets_from_page_tools(lambda name: is_inherited(name, BUILD))  # once is enough
    env = os.environ | {"EXTRA": "kept"}
    page_tool = processes.new_process(["/usr/bin/env"], run=True, env=env).stdout
    assert "canary" not in page_tool
    assert "EXTRA=kept" in page_tool
    assert f"HOME={os.environ['HOME']}" in page_tool
    own = processes.new_process(
        [sys.executable, "-c", "import os; print(os.environ['OPENAI_API_KEY'])"], run=True
    ).stdout
    assert own.strip() == "canary-1"
