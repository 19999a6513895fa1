"""The only place that knows SQL: conversations, their messages, and answers that are being written."""

from streamchat.storage.store import Storage
from streamchat.storage.views import Begun, Conversation, ConversationRow, Hit, RunRow, StoredRun

__all__ = ["Begun", "Conversation", "ConversationRow", "Hit", "RunRow", "Storage", "StoredRun"]
