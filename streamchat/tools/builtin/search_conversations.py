"""``search_conversations``: full-text search in the user's earlier messages."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from streamchat.tools.definition import tool
from streamchat.tools.tool_context import Context
from streamchat.tools.values import Table, ToolError


@tool
async def search_conversations(
    context: Context,
    query: Annotated[str, Field(min_length=1, max_length=200)],
    limit: Annotated[int, Field(ge=1, le=50)] = 10,
) -> Table:
    """Search this person's earlier conversations for messages that have all the given words, newest first.

    Args:
        query: A few words; of the last one its beginning is enough.
        limit: How many messages at most.
    """
    if context.services is None:
        raise ToolError("There are no conversations to search here.")
    hits = await context.at_home(context.services.search(context.owner, query, limit=limit))
    rows = [[f"{hit.created_at:%Y-%m-%d %H:%M}", hit.title, hit.role, hit.snippet] for hit in hits]
    return Table(rows, columns=["when (UTC)", "conversation", "who", "text"])
