"""Prices of models, from one dated file, and the cost of a request.

Knows token counts and model ids; no run, no vendor, no HTTP. Rules:

* Prices are US dollars for a million tokens. A model without a price has no cost, which is not a cost of 0.
* ``UsageReported.input`` is everything that the provider read; what came from its cache, or went there, is a part.
* A file of the operator adds prices, and replaces those of the same models.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamchat.chat.events import UsageReported
from streamchat.errors import SettingsError

BUILT_IN = Path(__file__).parent / "data" / "prices.toml"
_MILLION = 1_000_000
# The date of a snapshot at the end of a model's name: -2026-03-17 or -20261007.
_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|20\d{6})$")

Dollars = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class _Rates(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Dollars
    output: Dollars
    cached: Dollars | None = None
    written: Dollars | None = None

    def cost(self, usage: UsageReported) -> float:
        """Return the cost in US dollars."""
        read, cached, written = (max(0, count or 0) for count in (usage.input, usage.cached, usage.written))
        cached = min(cached, read)
        written = min(written, read - cached)
        dollars = (
            (read - cached - written) * self.input
            + cached * (self.input if self.cached is None else self.cached)
            + written * (self.input if self.written is None else self.written)
            + max(0, usage.output or 0) * self.output
        )
        return dollars / _MILLION


class _Over(_Rates):
    tokens: Annotated[int, Field(ge=0)]


class _Price(_Rates):
    over: _Over | None = None

    def rates(self, usage: UsageReported) -> _Rates:
        """Return the rates of a request of this size."""
        return self.over if self.over is not None and (usage.input or 0) > self.over.tokens else self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    models: dict[str, _Price]
    date: datetime.date | None = None
    sources: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by a pattern of model ids; the first one that matches counts. ``date``: when the built-in ones applied."""

    models: Mapping[str, _Price]
    date: datetime.date | None = None

    def cost(self, model_id: str, usage: UsageReported) -> float | None:
        """Return the cost of one request in US dollars; ``None`` if the model has no price, or nothing was counted."""
        price = self._price(model_id)
        if price is None:
            return None
        if usage.input is None and usage.output is None:
            # What costs nothing costs nothing uncounted.
            return None if price.input or price.output else 0.0
        return price.rates(usage).cost(usage)

    def _price(self, model_id: str) -> _Price | None:
        names = (model_id, _SNAPSHOT.sub("", model_id))
        for pattern, price in self.models.items():
            if any(fnmatchcase(name, pattern) for name in names):
                return price
        return None


def load_prices(path: Path | None = None) -> Prices:
    """Return the built-in prices, with those of a file before them. Raises ``SettingsError``."""
    built_in = _built_in()
    if path is None:
        return Prices(built_in.models, built_in.date)
    own = _read(path)
    return Prices(own.models | {key: one for key, one in built_in.models.items() if key not in own.models}, own.date)


@cache
def _built_in() -> _File:
    return _read(BUILT_IN)


def _read(path: Path) -> _File:
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        return _File.model_validate(data)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except ValueError as error:
        reason = f"it is not TOML ({error})"
    raise SettingsError(f"Cannot use the prices in {path}: {reason}.")
