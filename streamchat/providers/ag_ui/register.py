"""Registers agents that speak AG-UI (``STREAMCHAT_AGENTS``)."""

from __future__ import annotations

from collections.abc import Iterable

from streamchat.providers.ag_ui.agent import CAPABILITIES, AgUiAgent
from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Source
from streamchat.providers.registration import ProviderSettings, is_remote, provider


@provider
def agents(settings: ProviderSettings) -> Iterable[Source]:
    """Agents by name; the model of each is ``name:agent``."""
    for name, url in (item.split("=", 1) for item in settings.agents):
        remote = is_remote(url)
        model = ModelInfo(f"{name}:agent", name, None, "An agent that speaks AG-UI.", CAPABILITIES, remote)
        agent = AgUiAgent(url, connect_timeout=settings.connect_timeout, record=settings.record)
        yield Source(name, agent, [model], remote=remote)
