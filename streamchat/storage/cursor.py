"""Places in lists that are read newest first, page by page: the time and the id of a page's last row, as one text.

What a client sends back as a place may be anything.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, literal, tuple_

from streamchat.errors import InvalidInput
from streamchat.storage.tables import UtcDateTime

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def cursor(time: datetime, row_id: str) -> str:
    """The place behind this row."""
    return f"{time.isoformat()}~{row_id}"


def older_than(cursor: object, time: ColumnElement[Any], row_id: ColumnElement[Any], what: str) -> ColumnElement[bool]:
    """The rows behind this place. Raises ``InvalidInput`` for what is no place in the list of ``what``."""
    said, _, last_id = cursor.partition("~") if isinstance(cursor, str) else ("", "", "")
    try:
        moment = datetime.fromisoformat(said)
        moment.astimezone(UTC)  # at the edges of the calendar there may be no such time
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None or not ID.fullmatch(last_id):
        raise InvalidInput(f"This is not a place in the list of {what}.")
    return tuple_(time, row_id) < tuple_(literal(moment, UtcDateTime()), literal(last_id))
