"""A Reflex plugin: the built page talks to whatever address it was loaded from.

Reflex bakes the backend's address into the bundle, so another port or a proxy in front would need
another build. The rewrite happens after Vite and before compression, in the one chunk that holds it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from reflex_base.plugins.base import Plugin

_BAKED = re.compile(r"""([`"'])(ws|http)s?://[^`"'/]+(/[^`"']*)\1""")


class SameOriginPlugin(Plugin):
    """Rewrites ``ws://localhost:8000/_event`` to the page's own origin."""

    def post_build(self, **context: Any) -> None:
        """Raises ``RuntimeError`` where no address is found, so that an update of Reflex cannot break it silently."""
        chunks = list(Path(context["static_dir"]).glob("assets/reflex-env-*.js"))
        rewritten = 0
        for chunk in chunks:
            text, count = _BAKED.subn(_from_location, chunk.read_text())
            chunk.write_text(text)
            rewritten += count
        if not rewritten:
            raise RuntimeError("the build has no reflex-env chunk with an address to rewrite")


def _from_location(match: re.Match[str]) -> str:
    scheme, path = match[2], match[3]
    # No window while the page is prerendered.
    origin = '(globalThis.location?.origin??"http://localhost")'
    return f'({origin}+"{path}")' if scheme == "http" else f'({origin}.replace(/^http/,"ws")+"{path}")'
