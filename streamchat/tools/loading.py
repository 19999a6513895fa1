"""Finds the tools of a person's own modules and of installed packages.

Knows nothing of settings. Rule: what does not import, or has no tool, stops the start with one sentence that names it.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from streamchat.errors import SettingsError
from streamchat.tools.definition import Tool

GROUP = "streamchat.tools"
logger = logging.getLogger(__name__)


def tools_of_modules(names: Iterable[str]) -> list[Tool]:
    """Every ``@tool`` of these modules, each once; they may lie in the working directory. Raises ``SettingsError``."""
    found: list[Tool] = []
    for name in names:
        here = os.getcwd()
        if here not in sys.path:
            sys.path.append(here)
        module = _loaded(f"STREAMCHAT_TOOLS: {name!r}", lambda name=name: importlib.import_module(name))
        found += _tools_in(module, f"STREAMCHAT_TOOLS: {name!r}")
    return list(dict.fromkeys(found))


def tools_of_packages(points: Iterable[EntryPoint] | None = None) -> list[Tool]:
    """The tools that installed packages offer (entry points ``streamchat.tools``). Raises ``SettingsError``."""
    found: list[Tool] = []
    for point in entry_points(group=GROUP) if points is None else points:
        what = f"The entry point {point.name!r} ({point.value})"
        found += _tools_in(_loaded(what, point.load), what)
    return list(dict.fromkeys(found))


def _loaded(what: str, load: Any) -> Any:
    try:
        return load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        logger.warning("%s does not import", what, exc_info=error)
        why = (str(error).strip().splitlines() or ["it has no message"])[0][:300]
        raise SettingsError(f"{what} cannot be imported: {type(error).__name__}: {why}.") from None


def _tools_in(loaded: Any, what: str) -> list[Tool]:
    if isinstance(loaded, Tool):
        return [loaded]
    values = vars(loaded).values() if isinstance(loaded, ModuleType) else ()
    if found := [value for value in values if isinstance(value, Tool)]:
        return found
    raise SettingsError(f"{what} has no function with @tool.")
