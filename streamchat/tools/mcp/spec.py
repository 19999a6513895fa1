"""Parsing of the setting for MCP servers: ``name=command arguments…`` or ``name=https://…``.

Knows nothing of connections. Rules:

* A command is split as a shell would (quotes keep spaces and commas), and run without a shell. ``NAME=value`` before it
  sets an environment variable. From our environment it inherits only what a program needs to start, no keys.
* A name is short and has no ``__``, which separates the server from the tool in a tool's name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from streamchat.errors import SettingsError

SETTING = "STREAMCHAT_MCP"
_NAME = re.compile(r"[a-zA-Z0-9-]+(?:_[a-zA-Z0-9-]+)*")
_MAX_NAME = 24
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One server: the ``url`` of a running one, or the ``command`` with arguments that starts it."""

    name: str
    url: str = ""
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_specs(entries: Iterable[str]) -> tuple[ServerSpec, ...]:
    """Parse the entries of the setting. Raises ``SettingsError`` for an invalid entry or a duplicate name.

    The error message names the entry but does not quote it, because it may contain a password.
    """
    specs = []
    for number, entry in enumerate(entries, 1):
        name, _, rest = entry.partition("=")
        name = name.strip()
        if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
            raise SettingsError(
                f"{SETTING}: entry {number} has no usable name before '=': up to {_MAX_NAME} letters, digits, - and _."
            )
        specs.append(_spec(name, rest))
    names = [spec.name for spec in specs]
    if duplicates := {name for name in names if names.count(name) > 1}:
        raise SettingsError(f"{SETTING} names {sorted(duplicates)[0]!r} twice.")
    return tuple(specs)


def _spec(name: str, rest: str) -> ServerSpec:
    try:
        words = shlex.split(rest)
    except ValueError:
        raise SettingsError(f"{SETTING}: a quote in the entry {name!r} is not closed.") from None
    environment: dict[str, str] = {}
    while words and _ASSIGNMENT.match(words[0]):
        key, _, value = words.pop(0).partition("=")
        environment[key] = value
    if not words or not words[0]:
        raise SettingsError(f"{SETTING}: the entry {name!r} has neither a command nor an address.")
    if words[0].startswith(("http://", "https://")):
        if len(words) > 1 or environment:
            raise SettingsError(f"{SETTING}: the entry {name!r} has more than an address.")
        return ServerSpec(name, url=words[0])
    return ServerSpec(name, command=tuple(words), environment=environment)
