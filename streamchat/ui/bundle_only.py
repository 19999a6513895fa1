"""A Reflex plugin: only what the browser uses is published.

Reflex copies ``assets/`` to the published folder as it is, the sources of the components too. Nobody reads
them there: they are in the bundle. The client for other programs' pages stays: it is in no bundle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reflex_base.plugins.base import Plugin

_SOURCES = ("*.js", "*.jsx", "*.css")
_FOR_OTHERS = ("streamchat-client.js",)


class BundleOnlyPlugin(Plugin):
    """Runs after the bundler and before compression."""

    def post_build(self, **context: Any) -> None:
        """Removes the sources from the published folder's root; the bundle is in a folder of its own."""
        published = Path(context["static_dir"])
        for pattern in _SOURCES:
            for source in published.glob(pattern):
                if source.name not in _FOR_OTHERS:
                    source.unlink()
