"""Generates the gRPC modules from ``proto/`` if that has changed: ``python -m streamchat.protos``.

Knows the compiler, not the service. The generated folder ``streamchat/v1/`` is not in version control.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from streamchat.errors import StreamchatError

ROOT = Path(__file__).resolve().parent.parent
_SOURCE = "streamchat/v1/runs.proto"


class ProtoError(StreamchatError):
    """The gRPC modules could not be generated."""

    kind = "build"


def generate(root: Path = ROOT) -> bool:
    """Generate the gRPC modules if they are missing or outdated.

    Returns True if anything was generated. Raises ``ProtoError``.
    """
    target = root / "streamchat" / "v1"
    try:
        fingerprint = f"{_digest(root)} grpcio-tools {version('grpcio-tools')}"
    except PackageNotFoundError:
        raise ProtoError("The gRPC code cannot be generated: grpcio-tools is not installed.") from None
    stamp = target / "fingerprint"
    if stamp.is_file() and stamp.read_text() == fingerprint:
        return False
    try:
        _compile(root, target)
        stamp.write_text(fingerprint)
    except OSError as error:
        raise ProtoError(f"The gRPC code cannot be written to {target}: {error.strerror}.") from None
    return True


def _compile(root: Path, target: Path) -> None:
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory(dir=root, prefix=".protos-") as folder:
        outputs = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
        if protoc.main(["protoc", f"--proto_path={root / 'proto'}", *outputs, _SOURCE]):
            raise ProtoError(f"proto/{_SOURCE} could not be compiled.")
        generated = Path(folder, "streamchat", "v1")
        (generated / "__init__.py").touch()
        target.mkdir(exist_ok=True)
        for file in generated.iterdir():
            os.replace(file, target / file.name)  # atomic: another process may read or write them
        shutil.rmtree(Path(folder, "streamchat"))


def is_current(root: Path = ROOT) -> bool:
    """Return whether the modules exist and were generated from the current protocol, by any compiler."""
    stamp = root / "streamchat" / "v1" / "fingerprint"
    return stamp.is_file() and stamp.read_text().split()[0] == _digest(root)


def _digest(root: Path) -> str:
    return hashlib.sha256((root / "proto" / _SOURCE).read_bytes()).hexdigest()


if __name__ == "__main__":
    try:
        generate()
    except StreamchatError as error:
        sys.exit(error.user_message)
