"""What the AI SDK's requests mean: which message is the same one again."""

from __future__ import annotations

from typing import Any

from streamchat.protocols.ai_sdk.request import ChatIn, idempotency_key


def key(*messages: tuple[str, str, str], **more: Any) -> str:
    parts = [{"id": i, "role": role, "parts": [{"type": "text", "text": text}]} for i, role, text in messages]
    return idempotency_key(ChatIn.model_validate({"id": "chat", "messages": parts} | more))


def test_a_message_is_itself_again() -> None:
    """With its id, wherever it stands; edited, it is another one."""
    assert key(("1", "user", "hi")) == key(("1", "user", "hi"))
    assert key(("1", "user", "hi")) == key(("0", "user", "a"), ("1", "user", "hi"))
    assert len({key(("1", "user", "hi")), key(("1", "user", "ho")), key(("2", "user", "hi"))}) == 3
    assert key(("1", "user", "hi")) != key(("1", "user", "hi"), id="another chat")


def test_equal_messages_without_ids_are_two() -> None:
    """At another place of the chat; the same request again is the same message."""
    first = (("", "user", "yes"),)
    second = (*first, ("", "assistant", "ok"), ("", "user", "yes"))
    assert key(*second) == key(*second)
    assert len({key(*first), key(*second), key(*second, ("", "assistant", "ok"), ("", "user", "yes"))}) == 3
    assert key(*first) != key(*first)


def test_equal_messages_that_are_sent_alone_are_two() -> None:
    """Nothing tells them apart, and none may be lost."""
    message = {"role": "user", "parts": [{"type": "text", "text": "yes"}]}
    alone = ChatIn.model_validate({"id": "chat", "message": message})
    assert idempotency_key(alone) != idempotency_key(alone)
