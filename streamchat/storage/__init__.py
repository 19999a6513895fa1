"""Persistence of conversations, messages and answers in progress: the only package that knows SQL."""

from streamchat.storage.records import Begun, Conversation, ConversationRow, Hit, RunRow, StoredRun
from streamchat.storage.store import Storage

__all__ = ["Begun", "Conversation", "ConversationRow", "Hit", "RunRow", "Storage", "StoredRun"]
