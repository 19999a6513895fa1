"""Registers the embedded model."""

from __future__ import annotations

from streamchat.processes.shared_subprocess import child_factory
from streamchat.providers.catalog import Source
from streamchat.providers.local.provider import Local
from streamchat.providers.registration import ProviderSettings, provider


@provider
def local(settings: ProviderSettings) -> Source:
    """The model that runs in a process of its own on this machine."""
    adapter = Local(settings.local_gguf, record=settings.record, child=child_factory(settings.children))
    return Source("local", adapter, adapter.models, start=adapter.start)
