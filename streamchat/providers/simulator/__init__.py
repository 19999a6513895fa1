"""Scripted answers in the vendors' real wire formats, over loopback HTTP, read by the real SDKs.

The demo, the test double and the load of the benchmarks. Three parts, none of which knows the next:

* what is said: ``scenes`` (the table), ``words`` (what a message may set), ``texts``, ``tour``, ``calls`` and
  ``script``, which makes one lazy list of ``steps`` of them. Pure data.
* how it is written: ``ask`` and one ``wire_*`` module per format: JSON in, bytes out. Pure.
* ``server`` and ``journal``: sockets, clocks and the log of what was sent. ``__main__`` runs it as a child.

``provider.Simulator`` is the provider that the program sees. It is not imported here, because the child imports
this package and needs none of the SDKs.
"""
