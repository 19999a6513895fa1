"""Hatchling's build hook: puts the built page and the gRPC code into the wheel and the sdist.

Builds neither: `make dist` does, before it calls Hatchling. A wheel from an sdist takes what is in that.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = Path("streamchat/_page")
GRPC = Path("streamchat/v1")


class BuiltFilesHook(BuildHookInterface):
    """Adds what git does not keep."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Ends the build with one sentence if something is not built, or of other sources."""
        if version == "editable":  # a checkout builds for itself
            return
        root = Path(self.root)
        if (root / "PKG-INFO").is_file():
            files = {root / PAGE: PAGE, root / GRPC: GRPC}
        else:
            files = self._of_checkout(root)
        build_data["force_include"] |= {str(source): str(target) for source, target in files.items()}

    def _of_checkout(self, root: Path) -> dict[Path, Path]:
        sys.path.insert(0, self.root)
        from streamchat import build, protos
        from streamchat.reflex_internals import SERVED

        if not build.is_current(root):
            self.app.abort("The page is not built as it is now: `make dist` builds it, then the wheel.")
        if not protos.is_current(root):
            self.app.abort("The gRPC code is not made as it is now: `make dist` makes it, then the wheel.")
        return {root / ".web" / folder: PAGE / folder for folder in SERVED} | {root / GRPC: GRPC}
