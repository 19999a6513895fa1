"""The layers: imports point upwards only. The table is that of docs/architecture.md."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "streamchat"
BELOW = {
    "errors": set(),
    "settings": {"errors"},
    "chat": {"errors"},
    "providers": {"chat", "errors"},
    "tools": {"chat", "errors"},
    "runs": {"chat", "providers.base", "tools", "errors"},
    "storage": {"chat", "errors"},
    "wiring": {"chat", "providers", "tools", "runs", "storage", "settings", "errors"},
    "web": {"chat", "wiring", "errors", "runs", "v1"},
    "ui": {"chat", "wiring", "errors", "runs"},
    "streamchat": {"ui", "web", "wiring"},
    "build": {"errors"},
    "protos": {"errors"},
    "serving": {"build", "streamchat"},
    "workers": {"providers.shared_child", "serving"},
    "cli": {"build", "client", "errors", "protos", "runs.redis_engine", "serving", "settings", "storage", "workers"},
    "client": {"chat", "errors"},
    "__main__": {"cli"},
    "__init__": set(),
}
# Third-party packages that belong to one layer.
OWNED = {
    "reflex": {"ui", "streamchat"},
    "openai": {"providers"},
    "anthropic": {"providers"},
    "sqlmodel": {"storage"},
    "sqlalchemy": {"storage"},
    "alembic": {"storage"},
    "fastapi": {"web"},
    "uvicorn": {"serving"},
    "redis": {"runs", "wiring"},
    "mcp": {"tools"},
    "mcp_types": {"tools"},
    "jsonschema": {"tools"},
    "simpleeval": {"tools"},
    "trafilatura": {"tools"},
    "grpc": {"web"},
    "grpc_tools": {"protos"},
}
# streamchat/v1 is made from proto/.
MODULES = sorted(path for path in ROOT.rglob("*.py") if "v1" not in path.relative_to(ROOT).parts)


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
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


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_stays_small(path: Path):
    """A module has one job: under about 250 lines, a function under about 40."""
    text = path.read_text()
    assert len(text.splitlines()) <= 260
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 46, f"{node.name} is long"


def test_chat_is_pure():
    """The core has no I/O, no clock and no async."""
    for path in (ROOT / "chat").rglob("*.py"):
        used = {name.partition(".")[0] for name in imported(path)}
        assert not used & {"asyncio", "time", "datetime", "os", "socket", "pathlib", "random", "secrets"}, path
        assert not any(isinstance(n, ast.AsyncFunctionDef) for n in ast.walk(ast.parse(path.read_text()))), path
