"""``current_time``: the current date and time, which a model cannot know."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streamchat.tools.definition import tool
from streamchat.tools.values import ToolError


@tool(timeout=5)
def current_time(timezone: str | None = None) -> dict[str, Any]:
    """The date, the time and the day of the week now.

    Args:
        timezone: An IANA name such as "Europe/Berlin"; without it, the time of the server.
    """
    now = datetime.now().astimezone() if timezone is None else datetime.now(_zone(timezone))
    return {
        "time": now.isoformat(timespec="seconds"),
        "weekday": now.strftime("%A"),
        "timezone": timezone or now.tzname(),
        "utc_offset": now.strftime("%z"),
    }


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # also names that would escape the time zone folder
        raise ToolError(f"There is no time zone {name[:60]!r}; names are like 'Europe/Berlin' or 'UTC'.") from None
