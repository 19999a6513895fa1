"""Deletion of everything of one person.

Rules:

* First nobody is let in any more (``Accounts.close_account``), then running answers are stopped, in every worker, and
  conversations are deleted, then both once more: a request that was let in before may have begun an answer meanwhile.
  The account goes last: an attempt that fails half way is repeated by an admin.
* The logs of the answers go with them, in Redis and in the completion log. Backups, and what a log pipeline has taken
  on, are the operator's.
"""

from __future__ import annotations

import asyncio
import logging

from streamchat.errors import StreamchatError
from streamchat.runs.notifications import Notification
from streamchat.runs.service import RunService
from streamchat.wiring import Services

logger = logging.getLogger(__name__)


async def erase_person(services: Services, owner: str) -> str:
    """Delete everything of somebody who cannot come in any more. Raises ``StorageError``.

    Returns the id under which the audit log has the person from now on.
    """
    erased: list[str] = []
    for _ in range(2):
        erased += await _erase_conversations(services, owner)
        await services.store.personal.delete_words()
    await services.store.personal.delete_rows(owner)
    await services.runs.log.erase(erased)
    if services.record is not None and erased:
        await services.record.erase(set(erased))
    return await services.store.audit.forget(owner)


async def _erase_conversations(services: Services, owner: str) -> list[str]:
    """Stop the answers in progress, and delete all conversations. Returns the ids of their messages."""
    personal = services.store.personal
    running = await personal.running(owner)
    await asyncio.gather(*(_stop(services.runs, owner, run_id) for run_id in running))
    for run_id in running:  # its worker is about to write the last lines of the completion log
        services.runs.feed.publish(owner, Notification("erased", owner, run_id))
    erased: list[str] = []
    while (messages := await personal.delete_conversations(owner)) is not None:
        erased += messages
    return erased


async def _stop(runs: RunService, owner: str, run_id: str) -> None:
    try:
        await runs.cancel(owner, run_id)
    except StreamchatError as error:  # its worker does not respond: it gives the run up when the row is gone
        logger.warning("run %s is deleted while it is written: %s", run_id, error)
