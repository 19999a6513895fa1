"""Registers Anthropic."""

from __future__ import annotations

from streamchat.providers.anthropic.messages import Anthropic
from streamchat.providers.catalog import OwnKeys, Source
from streamchat.providers.registration import (
    ProviderSettings,
    host_of,
    is_foreign,
    is_remote,
    missing_key,
    provider,
    secret,
)

MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")


@provider
def anthropic(settings: ProviderSettings) -> Source:
    """The Messages API."""
    key, url = settings.anthropic_api_key, settings.anthropic_base_url
    adapter = Anthropic(
        api_key=secret(key), base_url=url, connect_timeout=settings.connect_timeout, record=settings.record
    )
    source = Source(
        "anthropic",
        adapter,
        open_ended=True,
        unavailable=missing_key("ANTHROPIC_API_KEY", bool(key) or is_foreign(url, "api.anthropic.com")),
        capabilities_of=adapter.capabilities_of,
        start=adapter.warm_up,
        remote=is_remote(url),
        own_keys=OwnKeys("anthropic", "Anthropic", host_of(url, "api.anthropic.com"), adapter.with_key),
    )
    source.models = [source.model_info(model) for model in MODELS]
    return source
