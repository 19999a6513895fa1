"""The audit log: who came in, and who did what with accounts, keys, links and data.

Knows the names of the events. Rules:

* An entry has ids and a few short values: no name, no secret, nothing that somebody typed.
* What cannot be recorded is done all the same, and the program's log says so: the log must keep nobody out.
"""

from __future__ import annotations

import logging
from typing import Any, Literal, TypeAlias, get_args

from streamchat.errors import StorageError
from streamchat.storage.audit import AuditStore

AuditEvent: TypeAlias = Literal[
    "sign-up",
    "sign-in",
    "sign-in-failed",
    "sign-out",
    "password-changed",
    "invited",
    "invitation-withdrawn",
    "key-created",
    "key-revoked",
    "passkey-added",
    "passkey-removed",
    "account-changed",
    "limits-changed",
    "model-switched",
    "own-key-set",
    "own-key-removed",
    "shared",
    "unshared",
    "exported",
    "deleted",
]
EVENTS: tuple[str, ...] = get_args(AuditEvent)
logger = logging.getLogger(__name__)


class Audit:
    """Records events."""

    def __init__(self, store: AuditStore) -> None:
        self.store = store

    async def record(
        self,
        event: AuditEvent,
        actor: str | None,
        subject: str | None = None,
        *,
        address: str = "",
        **detail: str | float | bool | None,
    ) -> None:
        """Record what happened. ``actor``: the id of the account that did it, ``None`` for nobody who is known.

        ``subject``: of the account to which it was done. ``detail``: short values, ids of other things among them.
        Raises nothing.
        """
        values: dict[str, Any] = {name: value for name, value in detail.items() if value is not None}
        try:
            await self.store.add(event, actor, subject, address or None, values)
        except StorageError as error:
            logger.warning("%s is not in the audit log: %s", event, error)
