"""Registers the simulator."""

from __future__ import annotations

from streamchat.processes.shared_subprocess import child_factory
from streamchat.providers.catalog import Source
from streamchat.providers.registration import ProviderSettings, provider
from streamchat.simulator.provider import MODELS, Simulator


@provider
def simulator(settings: ProviderSettings) -> Source:
    """Scripted answers."""
    adapter = Simulator(
        connect_timeout=settings.connect_timeout, record=settings.record, child=child_factory(settings.children)
    )
    # A process that is for demonstrations and tests is not started before somebody asks for it.
    return Source("simulator", adapter, MODELS, start=adapter.warm_up, eager=False)
