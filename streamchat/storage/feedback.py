"""What people think of answers. Each function takes a connection and runs in its caller's transaction.

Rule: feedback belongs to the owner of its conversation, and is read and written for that owner only.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from streamchat.chat.feedback import Feedback
from streamchat.errors import InvalidInput
from streamchat.storage import branches, queries
from streamchat.storage.queries import feedback
from streamchat.storage.tables import now


def feedback_in(connection: Connection, owner: str, conversation_id: str) -> dict[str, Feedback]:
    """Return the feedback on the answers of a conversation, by the id of the message."""
    columns = (feedback.c.message_id, feedback.c.rating, feedback.c.reason)
    query = select(*columns).where(feedback.c.conversation_id == conversation_id, feedback.c.owner == owner)
    return {row.message_id: Feedback(row.rating, row.reason) for row in connection.execute(query)}


def put_feedback(connection: Connection, owner: str, message_id: str, value: Feedback | None) -> str:
    """Store the feedback on an answer in place of what was there; ``None`` removes it. Returns the conversation's id.

    Raises ``NotFound``, and ``InvalidInput`` for a message that is no answer or has not ended.
    """
    stored = branches.message_of(connection, owner, message_id)
    queries.owned(connection, owner, stored.conversation_id, lock=True)
    if stored.message.role != "assistant" or not stored.message.ended:
        raise InvalidInput("Only an answer that has ended can be rated.")
    connection.execute(delete(feedback).where(feedback.c.message_id == message_id))
    if value is not None:
        values = {"rating": value.rating, "reason": value.reason, "owner": owner, "updated_at": now()}
        connection.execute(
            insert(feedback).values(message_id=message_id, conversation_id=stored.conversation_id, **values)
        )
    return stored.conversation_id
