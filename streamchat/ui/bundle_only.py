"""A Reflex plugin that publishes the bundle without its sources.

Reflex copies all of ``assets/`` to the published folder, the sources of the components too. What other programs'
pages load is kept: it is in no bundle.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import reflex as rx

_SOURCES = ("*.js", "*.jsx", "*.ts", "*.tsx", "*.css", "chat")
_PUBLISHED = ("streamchat-client.js", "stream-chat.js")


class BundleOnlyPlugin(rx.plugins.Plugin):
    """Runs after the bundler and before compression."""

    def post_build(self, **context: Any) -> None:
        """Remove the sources from the published folder; the bundle is in a folder of its own (``assets``).

        Sources of an earlier version go too: Reflex copies over what it copied before.
        """
        published = Path(context["static_dir"])
        for pattern in _SOURCES:
            for source in published.glob(pattern):
                if source.is_dir():
                    shutil.rmtree(source)
                elif source.name not in _PUBLISHED:
                    source.unlink()
