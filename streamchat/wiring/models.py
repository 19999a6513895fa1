"""Which models are on offer and who answers for each, from the settings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit

from pydantic import SecretStr

from streamchat.providers import local, simulator
from streamchat.providers.anthropic import Anthropic
from streamchat.providers.catalog import Catalog, Source
from streamchat.providers.child import Child
from streamchat.providers.openai_chat import OpenAIChat
from streamchat.providers.openai_responses import OpenAIResponses
from streamchat.providers.shared_child import MakeChild, SharedChild
from streamchat.runs.attempts import Policy, Target
from streamchat.runs.intake import Deadlines
from streamchat.settings import Settings

OPENAI_MODELS = ("gpt-6.2-sol", "gpt-6-luna", "gpt-5.4-mini")
ANTHROPIC_MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")


def build_catalog(settings: Settings) -> Catalog:
    """Vendors whose key is set, further servers, the embedded model, the simulator; then the vendors without a key."""
    sources = [*_openai(settings), _anthropic(settings), *_servers(settings), _local(settings), _simulator(settings)]
    return Catalog(sources, settings.models, settings.schema_tools)


def build_policy(settings: Settings, models: Catalog) -> Policy:
    """Retries, deadlines, and who continues an answer that broke."""
    deadlines = Deadlines(settings.first_token_timeout, settings.idle_timeout, settings.total_timeout)

    def rescue(target: Target) -> Target:
        if settings.fallback_model is None:
            return target
        info = models.info(settings.fallback_model)
        return Target(models.provider(info.id), info.name, info.label)

    return Policy(settings.retries, rescue if settings.rescue else None, deadlines)


def _openai(settings: Settings) -> list[Source]:
    """Responses at OpenAI's own address, chat completions at any other; two more names force one of them."""
    key, url = settings.openai_api_key, settings.openai_base_url
    chat = OpenAIChat(api_key=_secret(key), base_url=url, connect_timeout=settings.connect_timeout)
    responses = OpenAIResponses(api_key=_secret(key), base_url=url, connect_timeout=settings.connect_timeout)
    elsewhere = _elsewhere(url, "api.openai.com")
    ready = bool(key) or elsewhere
    main = _vendor("openai", "OPENAI", chat if elsewhere else responses, ready, () if elsewhere else OPENAI_MODELS)
    main.ask = chat.names if elsewhere else None
    return [
        main,
        _vendor("openai-chat", "OPENAI", chat, ready),
        _vendor("openai-responses", "OPENAI", responses, ready),
    ]


def _anthropic(settings: Settings) -> Source:
    key, url = settings.anthropic_api_key, settings.anthropic_base_url
    provider = Anthropic(api_key=_secret(key), base_url=url, connect_timeout=settings.connect_timeout)
    ready = bool(key) or _elsewhere(url, "api.anthropic.com")
    return _vendor("anthropic", "ANTHROPIC", provider, ready, ANTHROPIC_MODELS)


def _servers(settings: Settings) -> list[Source]:
    found = []
    for name, url in (item.split("=", 1) for item in settings.servers):
        provider = OpenAIChat(base_url=url, connect_timeout=settings.connect_timeout)
        found.append(
            Source(name, provider, open_ended=True, ask=provider.names, capabilities_of=provider.capabilities_of)
        )
    return found


def _local(settings: Settings) -> Source:
    provider = local.Local(settings.local_gguf, child=_child(settings))
    return Source("local", provider, provider.models, start=provider.start)


def _simulator(settings: Settings) -> Source:
    provider = simulator.Simulator(connect_timeout=settings.connect_timeout, child=_child(settings))
    return Source("simulator", provider, simulator.MODELS)


def _child(settings: Settings) -> MakeChild:
    """Our own children, or those that the supervisor of several workers lends."""
    return partial(SharedChild, settings.children) if settings.children else Child


def _vendor(
    name: str, variable: str, provider: OpenAIChat | OpenAIResponses | Anthropic, ready: bool, names: Sequence[str] = ()
) -> Source:
    missing = None if ready else f"set {variable}_API_KEY and start again."
    source = Source(name, provider, open_ended=True, unavailable=missing, capabilities_of=provider.capabilities_of)
    source.models = [source.made(model) for model in names]
    return source


def _elsewhere(url: str | None, host: str) -> bool:
    """Whether a base URL is somebody else's than the vendor's: such a server needs no key."""
    return url is not None and urlsplit(url).hostname != host


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value is not None else None
