"""Optional parts of an installation, and the error message if one is missing.

Knows the modules of each part, not what they do. Rule: a missing part is an error only if a setting needs it.
"""

from __future__ import annotations

import importlib.util

from streamchat.errors import SettingsError

# Extra of pyproject.toml to the modules that it installs.
MODULES = {
    "accounts": ("argon2", "webauthn", "jwt", "cryptography"),
    "files": ("pypdf", "pi_heif", "PIL"),
    "grpc": ("grpc", "grpc_health"),
    "local": ("xllamacpp",),
    "mcp": ("mcp", "mcp_types", "jsonschema", "referencing"),
    "otel": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http", "prometheus_client", "structlog"),
    "postgres": ("psycopg",),
    "redis": ("redis",),
    "tools": ("simpleeval", "trafilatura"),
}


def is_installed(extra: str) -> bool:
    """Return whether all modules of an extra are installed. Imports none of them."""
    return all(map(_is_found, MODULES[extra]))


def _is_found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is in
        return False


def hint(extra: str) -> str:
    """Return how to install an extra: ``the extra redis: pip install 'streamchat[redis]'``."""
    return f"the extra {extra}: pip install 'streamchat[{extra}]'"


def require(extra: str, what: str) -> None:
    """Raise ``SettingsError`` if the extra that ``what`` needs is not installed."""
    if not is_installed(extra):
        raise SettingsError(f"{what} needs {hint(extra)}")
