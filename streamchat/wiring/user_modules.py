"""Finds tools, models and providers in the user's own modules and in installed packages.

Rule: a module or entry point that cannot be imported, or has none of them, stops the start with an error message that
names it.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from streamchat.errors import SettingsError
from streamchat.providers.python.definition import Model
from streamchat.providers.registration import Registration
from streamchat.settings import Settings
from streamchat.tools.definition import Tool

GROUPS = ("streamchat", "streamchat.tools")
"""Groups of entry points. The second one is the older name."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UserModules:
    """What was found, each object once, in the order of the settings and the modules."""

    tools: Sequence[Tool] = ()
    models: Sequence[Model] = ()
    providers: Sequence[Registration] = ()

    def and_those_of(self, other: UserModules) -> UserModules:
        """Return these and the others, each once."""
        return UserModules(
            list(dict.fromkeys((*self.tools, *other.tools))),
            list(dict.fromkeys((*self.models, *other.models))),
            list(dict.fromkeys((*self.providers, *other.providers))),
        )


NO_MODULES = UserModules()


def load_user_modules(settings: Settings, points: Iterable[EntryPoint] | None = None) -> UserModules:
    """Import the modules of the settings and the entry points of packages. A module is executed once per process.

    ``points``: those of the installed packages by default. Raises ``SettingsError``.
    """
    objects: list[object] = []
    for setting, names in (("STREAMCHAT_MODULES", settings.modules), ("STREAMCHAT_TOOLS", settings.tools)):
        for name in names:
            label = f"{setting}: {name!r}"
            objects += _registered_in(_load(label, lambda name=name: import_module(name)), label)
    for point in _entry_points() if points is None else points:
        label = f"The entry point {point.name!r} ({point.value})"
        objects += _registered_in(_load(label, point.load), label)
    objects = list(dict.fromkeys(objects))
    return UserModules(
        [one for one in objects if isinstance(one, Tool)],
        [one for one in objects if isinstance(one, Model)],
        [one for one in objects if isinstance(one, Registration)],
    )


def import_module(name: str) -> ModuleType:
    """Import a module by its name, also from the working directory, or by the path of its file (``….py``)."""
    if not name.endswith(".py"):
        _search(os.getcwd())
        return importlib.import_module(name)
    path = Path(name).absolute()
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    loaded = sys.modules.get(path.stem)
    if loaded is not None:
        if getattr(loaded, "__file__", None) == str(path):
            return loaded
        raise ImportError(f"another module has the name {path.stem!r} already; rename the file")
    _search(str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError("it is not a Python file")
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def _search(folder: str) -> None:
    if folder not in sys.path:
        sys.path.append(folder)


def _entry_points() -> Iterable[EntryPoint]:
    return [point for group in GROUPS for point in entry_points(group=group)]


def _load(label: str, load: Any) -> Any:
    try:
        return load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        logger.warning("%s does not import", label, exc_info=error)
        reason = (str(error).strip().splitlines() or ["it has no message"])[0][:300]
        raise SettingsError(f"{label} cannot be imported: {type(error).__name__}: {reason}.") from None


def _registered_in(target: Any, label: str) -> Sequence[object]:
    kinds = (Tool, Model, Registration)
    if isinstance(target, kinds):
        return [target]
    values = vars(target).values() if isinstance(target, ModuleType) else ()
    if registered := [value for value in values if isinstance(value, kinds)]:
        return registered
    raise SettingsError(f"{label} has no function with @tool, @model or @provider.")
