"""The holder of a run: the process that may write the next entry of its log.

Values only; ``RunService.holder_of`` returns one. A run has one holder at a time:

* ``Here``: a task of this process.
* ``WaitingForApproval``: nobody. The worker that stores a decision becomes the holder, in one statement.
* ``Elsewhere``: the worker that its row names.
* ``Nobody``: it has not ended, but the process that held it is gone; the sweep takes it over.
* ``Ended``: nobody, for good.

The row of a run has its holder's epoch, counted up by each takeover: writes of a former one are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from streamchat.runs.run_task import ActiveRun


@dataclass(frozen=True, slots=True)
class Here:
    """This process has a task for it."""

    run: ActiveRun


@dataclass(frozen=True, slots=True)
class WaitingForApproval:
    """Nobody: a person has to decide first."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another process, whose name is ``worker``."""

    worker: str


@dataclass(frozen=True, slots=True)
class Nobody:
    """Nobody, although it has not ended: its process is gone."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Nobody: it has ended."""


Holder: TypeAlias = Here | WaitingForApproval | Elsewhere | Nobody | Ended
