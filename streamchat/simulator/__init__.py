"""Simulated provider: scripted answers in the vendors' real wire formats over loopback HTTP, read by the real adapters.

It serves as demo, as test double and as load generator of the benchmarks. Three layers, none of which knows the next:

* Content: ``scenes`` (the table), ``words`` (options in a message), ``texts``, ``tour``, ``calls``, and ``script``,
  which combines them into one lazy sequence of ``steps``. Pure.
* Encoding: ``request`` and one ``wire_*`` module per format, from JSON to bytes. Pure.
* Serving: ``server``, ``peer``, ``play`` and ``journal``, with sockets, clocks and a log of the bytes sent.
  ``__main__`` runs the server as a child process.

``Simulator`` and ``MODELS`` are the public interface. They are imported lazily, because the child imports this package
too and needs none of the adapters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamchat.simulator.provider import MODELS, Simulator

__all__ = ["MODELS", "Simulator"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    from streamchat.simulator import provider

    return getattr(provider, name)
