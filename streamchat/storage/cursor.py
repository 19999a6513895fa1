"""Pagination cursors of lists in newest-first order: the time and the id of a page's last row, as one string.

Knows nothing of the lists. Rule: a cursor from a client is untrusted input.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, literal, tuple_

from streamchat.errors import InvalidInput
from streamchat.storage.tables import UtcDateTime

PINNED = "pinned~"
"""Prefix of a cursor in the list of conversations after a pinned one."""
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def cursor(time: datetime, row_id: str) -> str:
    """Return the cursor after this row: ``<ISO 8601 time>~<id>``."""
    return f"{time.isoformat()}~{row_id}"


def older_than(cursor: object, time: ColumnElement[Any], row_id: ColumnElement[Any], what: str) -> ColumnElement[bool]:
    """Return the condition for the rows after this cursor. Raises as ``read_cursor``."""
    moment, last_id = read_cursor(cursor, what)
    return tuple_(time, row_id) < tuple_(literal(moment, UtcDateTime()), literal(last_id))


def read_cursor(cursor: object, what: str) -> tuple[datetime, str]:
    """Return the time and the id of a cursor. ``what`` names the list in the error message.

    Raises ``InvalidInput`` for an invalid cursor.
    """
    timestamp, _, last_id = cursor.partition("~") if isinstance(cursor, str) else ("", "", "")
    try:
        moment = datetime.fromisoformat(timestamp)
        moment.astimezone(UTC)  # raises at the limits of the calendar
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None or not ID.fullmatch(last_id):
        raise InvalidInput(f"This is not a valid cursor in the list of {what}.")
    return moment, last_id
