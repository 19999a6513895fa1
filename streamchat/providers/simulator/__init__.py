"""Scripted answers in the vendors' real wire formats, over loopback HTTP, read by the real SDKs.

The demo, the test double and the load of the benchmarks. Three parts, none of which knows the next:

* what is said: ``scenes`` (the table), ``words`` (what a message may set), ``texts``, ``tour``, ``calls`` and
  ``script``, which makes one lazy list of ``steps`` of them. Pure data.
* how it is written: ``ask`` and one ``wire_*`` module per format: JSON in, bytes out. Pure.
* ``server`` and ``journal``: sockets, clocks and the log of what was sent. ``__main__`` runs it as a child.

``Simulator`` and ``MODELS`` are what the program sees. They are imported when asked for, because the child imports
this package too and needs none of the SDKs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamchat.providers.simulator.provider import MODELS, Simulator

__all__ = ["MODELS", "Simulator"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    from streamchat.providers.simulator import provider

    return getattr(provider, name)
