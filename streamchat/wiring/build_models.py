"""Builds the catalog of models and their providers from the settings."""

from __future__ import annotations

from collections.abc import Sequence

from streamchat.errors import SettingsError
from streamchat.prices import load_prices
from streamchat.providers.ag_ui import register as ag_ui
from streamchat.providers.anthropic import register as anthropic
from streamchat.providers.catalog import Catalog, Source
from streamchat.providers.local import register as local
from streamchat.providers.openai import register as openai
from streamchat.providers.python.provider import PythonModels
from streamchat.providers.registration import Registration
from streamchat.runs.coalesce import Deadlines
from streamchat.runs.retries import Policy, Target
from streamchat.settings import Settings
from streamchat.simulator import register as simulator
from streamchat.wiring.user_modules import UserModules, load_user_modules

# In the order of offering, after what the user's own modules register.
BUILT_IN: tuple[Registration, ...] = (
    openai.openai,
    anthropic.anthropic,
    openai.servers,
    ag_ui.agents,
    local.local,
    simulator.simulator,
)


def build_catalog(settings: Settings, modules: UserModules | None = None) -> Catalog:
    """Return the catalog: the user's own models and providers, vendors with a key, further servers, the embedded model,
    the simulator, other vendors.

    ``modules``: loaded here if left out. Raises ``SettingsError`` if two providers have one name.
    """
    modules = load_user_modules(settings) if modules is None else modules
    own = [PythonModels(modules.models).source()] if modules.models else []
    registered = [source for one in (*modules.providers, *BUILT_IN) for source in one.sources(settings)]
    sources = [*own, *registered]
    _check_names(sources)
    return Catalog(sources, settings.models, settings.schema_tools)


def _check_names(sources: Sequence[Source]) -> None:
    names: set[str] = set()
    for source in sources:
        if source.name in names:
            raise SettingsError(f"Two providers have the name {source.name!r}; each needs its own.")
        names.add(source.name)


def build_policy(settings: Settings) -> Policy:
    """Return the policy for retries, deadlines, prices, and the model that continues a broken answer."""
    deadlines = Deadlines(settings.first_token_timeout, settings.idle_timeout, settings.total_timeout)
    cost = load_prices(settings.prices).cost
    return Policy(settings.retries, _same if settings.rescue else None, deadlines, cost, settings.fallback_model)


def _same(target: Target) -> Target:
    return target
