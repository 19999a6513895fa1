"""What a request has to be like before anything is stored of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamchat.chat.messages import FilePart, ImagePart, Part, TextPart, whole
from streamchat.errors import InvalidInput

MAX_MESSAGE_CHARS = 200_000


def check_message(parts: Sequence[Part]) -> list[Part]:
    """The parts, without halves of characters. Raises ``InvalidInput`` for an empty or an oversized message."""
    if not any(isinstance(p, ImagePart | FilePart) or (isinstance(p, TextPart) and p.text.strip()) for p in parts):
        raise InvalidInput("The message is empty.")
    if sum(len(p.text) for p in parts if isinstance(p, TextPart | FilePart)) > MAX_MESSAGE_CHARS:
        raise InvalidInput(f"The message is longer than {MAX_MESSAGE_CHARS:,} characters. Please shorten it.")
    return [replace(p, text=whole(p.text)) if isinstance(p, TextPart | FilePart) else p for p in parts]


def check_client_id(client_message_id: str) -> None:
    """Raises ``InvalidInput``."""
    if not isinstance(client_message_id, str) or not 1 <= len(client_message_id) <= 100:
        raise InvalidInput("A message needs a client id of 1 to 100 characters.")
