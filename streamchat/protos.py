"""Makes the gRPC code out of ``proto/``, and only when that has changed: ``python -m streamchat.protos``.

Knows the compiler, not the service. What it writes, ``streamchat/v1/``, is nobody's source and is not kept.
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
    """The gRPC code could not be made."""

    kind = "build"


def generate(root: Path = ROOT) -> bool:
    """Make what is not there or was made of something else; whether there was anything to do. Raises ``ProtoError``."""
    source, target = root / "proto" / _SOURCE, root / "streamchat" / "v1"
    try:
        made_of = hashlib.sha256(source.read_bytes() + version("grpcio-tools").encode()).hexdigest()
    except PackageNotFoundError:
        raise ProtoError("The gRPC code cannot be made: grpcio-tools is not installed.") from None
    stamp = target / "fingerprint"
    if stamp.is_file() and stamp.read_text() == made_of:
        return False
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory(dir=root, prefix=".protos-") as folder:
        outputs = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
        if protoc.main(["protoc", f"--proto_path={root / 'proto'}", *outputs, _SOURCE]):
            raise ProtoError(f"proto/{_SOURCE} could not be compiled.")
        made = Path(folder, "streamchat", "v1")
        (made / "__init__.py").touch()
        target.mkdir(exist_ok=True)
        for file in made.iterdir():
            os.replace(file, target / file.name)  # another process may read, or do the same
        shutil.rmtree(Path(folder, "streamchat"))
    stamp.write_text(made_of)
    return True


if __name__ == "__main__":
    try:
        generate()
    except StreamchatError as error:
        sys.exit(error.user_message)
