"""Retention: what is in the trash for too long, and what nobody has changed for too long, is deleted.

Rules:

* ``STREAMCHAT_RETENTION_DAYS`` is a promise about what the server does not have: it holds for pinned, archived and
  deleted conversations as well, and nobody's choice is an exception.
* Only a conversation in which an answer is being written waits for the next pass.
* Deletions are small transactions with pauses, so that answers are stored between them. On PostgreSQL one worker at a
  time deletes; SQLite has one writer anyway.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from streamchat.errors import StorageError
from streamchat.runs.notifications import Feed, Notification
from streamchat.storage import Storage

# For so long what was deleted can be restored; pause between two passes, and between two transactions of one.
TRASH_DAYS, PASS_SECONDS, PAUSE_SECONDS = 30, 3600.0, 0.05
# For so long a file is kept that was uploaded and not sent.
UNSENT_HOURS = 24
logger = logging.getLogger(__name__)


async def keep_retention(store: Storage, feed: Feed, days: int | None, audit_days: int) -> None:
    """Delete now, and then every ``PASS_SECONDS``, for ever. ``days``: ``None`` keeps what is not in the trash.

    ``audit_days``: for which the audit log is kept.
    """
    while True:
        try:
            await delete_old(store, feed, days, datetime.now(UTC))
            await store.audit.purge(datetime.now(UTC) - timedelta(days=audit_days))
        except StorageError as error:
            logger.warning("what is old is deleted later: %s", error)
        await asyncio.sleep(PASS_SECONDS)


async def delete_old(store: Storage, feed: Feed, days: int | None, now: datetime) -> int:
    """Make one pass. Returns how many conversations without a change were deleted. Raises ``StorageError``."""
    await store.purge(now - timedelta(days=min(TRASH_DAYS, days or TRASH_DAYS)))
    await store.sweep_files(now - timedelta(hours=UNSENT_HOURS))
    count = 0
    while days is not None and (rows := await store.delete_idle(now - timedelta(days=days))):
        count += len(rows)
        for owner, conversation_id in rows:
            feed.publish(owner, Notification("changed", conversation_id))
        await asyncio.sleep(PAUSE_SECONDS)
    if count:
        logger.info("%d conversations without a change for %d days were deleted", count, days)
        await store.personal.delete_words()
    return count
