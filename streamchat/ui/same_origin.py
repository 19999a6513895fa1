"""A Reflex plugin that makes the built page connect to the address it was loaded from.

With the backend's address in the bundle, another port or a proxy would need another build. The rewrite happens after
Vite and before compression.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import reflex as rx

from streamchat.reflex_internals import use_page_origin


class SameOriginPlugin(rx.plugins.Plugin):
    """Rewrites ``ws://localhost:8000/_event`` to the page's own origin."""

    def post_build(self, **context: Any) -> None:
        """Rewrite the bundle. Raises ``RuntimeError`` if it contains no address: an update of Reflex moved it."""
        use_page_origin(Path(context["static_dir"]))
