"""A program that has the first model of a file answer questions, one after the other, as ``streamchat run`` would.

``python -m tests.system.examples.answering FILE QUESTION…`` prints the events of each answer as a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from streamchat.chat.events import Event
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import Request
from streamchat.chat.wire import event_to_wire
from streamchat.providers.python.provider import PythonModels
from streamchat.settings import load_settings
from streamchat.wiring.user_modules import load_user_modules


async def answers(file: str, questions: list[str]) -> list[list[Event]]:
    """Return the events of each answer, all in one conversation."""
    os.environ["STREAMCHAT_MODULES"] = file
    models = load_user_modules(load_settings(), []).models
    provider = PythonModels(models)
    asked = [Message(f"u{n}", "user", (TextPart(question),)) for n, question in enumerate(questions)]
    requests = [Request(models[0].name, (question,), conversation_id="c") for question in asked]
    try:
        return [[event async for event in provider.stream(request)] for request in requests]
    finally:
        await provider.close()


if __name__ == "__main__":
    for events in asyncio.run(answers(sys.argv[1], sys.argv[2:])):
        sys.stdout.write(json.dumps([event_to_wire(event) for event in events]) + "\n")
