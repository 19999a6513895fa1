"""What is imported before it is needed: the start of the program waits for every module."""

from __future__ import annotations

import subprocess
import sys

from streamchat.build import ROOT

LATE = {"alembic", "anthropic", "grpc", "jsonschema", "mcp", "openai", "redis", "trafilatura", "xllamacpp"}
LATE |= {"opentelemetry.sdk", "prometheus_client"}
PROGRAM = """
import sys
import streamchat.wiring, streamchat.web.app, streamchat.web.grpc_server, streamchat.cli
print(*sorted({*sys.modules, *(name.partition(".")[0] for name in sys.modules)}))
"""


def test_sdks_and_optional_libraries_are_imported_when_they_are_needed():
    """Without a vendor, MCP server, Redis or gRPC in use, none of their libraries is imported, nor Alembic."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & LATE == set()


def test_a_module_of_ones_own_loads_no_server():
    """``from streamchat import model, tool`` is for files that other programs import too."""
    server = LATE | {"fastapi", "httpx2", "reflex", "sqlalchemy", "sqlmodel", "starlette", "uvicorn"}
    program = "import sys\nfrom streamchat import *\nprint(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & server == set()
