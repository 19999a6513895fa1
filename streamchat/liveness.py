"""Heartbeat intervals and timeouts of a run's process, in seconds.

Heartbeats are compared by the clock of the database, never by that of a process.

* A writer stores changes, and with them a heartbeat, every ``HEARTBEAT_SECONDS``.
* An answer without a heartbeat for ``ALIVE_SECONDS`` no longer blocks another one in its conversation.
* A process that could not confirm its runs for ``LEASE_SECONDS`` confirms each before it continues it.
* An answer without a heartbeat for ``STALE_SECONDS`` has lost its process: another one may take it over.
* A heartbeat more than ``FUTURE_SECONDS`` in the future is no heartbeat: a clock was changed.
"""

from __future__ import annotations

HEARTBEAT_SECONDS = 0.5
ALIVE_SECONDS = 3.0
LEASE_SECONDS = 4.0
STALE_SECONDS = 6.0
FUTURE_SECONDS = 1.0
