"""Registers OpenAI, and servers that speak its chat completions (``STREAMCHAT_SERVERS``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamchat.providers.catalog import OwnKeys, Source
from streamchat.providers.openai.chat import OpenAIChat
from streamchat.providers.openai.responses import OpenAIResponses
from streamchat.providers.registration import (
    ProviderSettings,
    host_of,
    is_foreign,
    is_remote,
    missing_key,
    provider,
    secret,
)

MODELS = ("gpt-6.2-sol", "gpt-6-luna", "gpt-5.4-mini")


@provider
def openai(settings: ProviderSettings) -> Iterable[Source]:
    """The Responses API at OpenAI's own address, chat completions elsewhere. Two more names force one of them."""
    key, url = settings.openai_api_key, settings.openai_base_url
    chat = OpenAIChat(
        api_key=secret(key), base_url=url, connect_timeout=settings.connect_timeout, record=settings.record
    )
    responses = OpenAIResponses(
        api_key=secret(key),
        base_url=url,
        connect_timeout=settings.connect_timeout,
        record=settings.record,
        background=settings.openai_background,
    )
    foreign = is_foreign(url, "api.openai.com")
    unavailable = missing_key("OPENAI_API_KEY", bool(key) or foreign)

    def source(name: str, adapter: OpenAIChat | OpenAIResponses, models: Sequence[str] = ()) -> Source:
        made = Source(
            name,
            adapter,
            open_ended=True,
            unavailable=unavailable,
            capabilities_of=adapter.capabilities_of,
            start=adapter.warm_up,
            remote=is_remote(url),
            own_keys=OwnKeys("openai", "OpenAI", host_of(url, "api.openai.com"), adapter.with_key),
        )
        made.models = [made.model_info(model) for model in models]
        return made

    main = source("openai", chat if foreign else responses, () if foreign else MODELS)
    main.list_models = chat.list_models if foreign else None
    return [main, source("openai-chat", chat), source("openai-responses", responses)]


@provider
def servers(settings: ProviderSettings) -> Iterable[Source]:
    """Further servers by name."""
    for name, url in (item.split("=", 1) for item in settings.servers):
        adapter = OpenAIChat(base_url=url, connect_timeout=settings.connect_timeout, record=settings.record)
        yield Source(
            name,
            adapter,
            open_ended=True,
            list_models=adapter.list_models,
            capabilities_of=adapter.capabilities_of,
            start=adapter.warm_up,
            remote=is_remote(url),
        )
