"""Reflex's configuration. Everything of our own is in ``streamchat/settings.py``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import reflex as rx

from streamchat.settings import Settings
from streamchat.ui.bundle_only import BundleOnlyPlugin
from streamchat.ui.loopback_only import LoopbackOnlyPlugin
from streamchat.ui.same_origin import SameOriginPlugin


def page_config(settings: Settings, bun: Path | None = None) -> rx.Config:
    """Return the configuration of the page and of its backend. ``bun``: path of the program that builds the page."""
    # A dead socket is noticed within 25 seconds instead of 145: until then its tab's follower works in vain.
    os.environ.setdefault("REFLEX_SOCKET_INTERVAL", "10s")
    os.environ.setdefault("REFLEX_SOCKET_TIMEOUT", "15s")
    # Seconds for which a closed tab's state stays in memory, not an hour. A tab that comes back later, or was only
    # quiet, gets a new one: what it shows is in the log and the store.
    os.environ.setdefault("REFLEX_REDIS_TOKEN_EXPIRATION", "600")
    # All states of this process share so many connections to Redis; who needs another one waits.
    os.environ.setdefault("REFLEX_REDIS_MAX_CONNECTIONS", str(settings.redis_connections))
    # The page's packages are locked for Bun: npm would resolve them anew, and Reflex would then delete the lock.
    os.environ["REFLEX_USE_NPM"] = "0"
    given: dict[str, Any] = {"bun_path": bun} if bun else {}
    # One port in prod mode; ``reflex run`` in dev mode adds 8000 for the backend. Left out unless it is set: then
    # Reflex uses ``--backend-port`` alone for both in prod mode, and the next port if 3000 is in use.
    if "port" in settings.model_fields_set:
        given["frontend_port"] = settings.port
    return rx.Config(
        app_name="streamchat",
        **given,
        # Reflex would bind every address.
        backend_host="127.0.0.1",
        # Never empty: an empty list switches the websocket's origin check off.
        cors_allowed_origins=list(settings.origins),
        telemetry_enabled=False,
        show_built_with_reflex=False,
        # Shared by all workers if there is a Redis. Reflex stores pickles: see docs/deploy.md.
        redis_url=settings.page_redis_url,
        state_manager_mode="redis" if settings.page_redis_url else "memory",  # pyrefly: ignore[bad-argument-type]
        plugins=[SameOriginPlugin(), BundleOnlyPlugin(), LoopbackOnlyPlugin()],
        disable_plugins=[rx.plugins.SitemapPlugin],
    )
