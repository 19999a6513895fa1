"""A Python client of the HTTP API, for scripts and for the terminal.

``Client`` and ``AsyncClient`` start answers, read them from any point, and stop them. Rules:

* A lost connection is restored automatically from the last event that arrived, so each event is seen once.
* ``events()`` and ``entries()`` yield every ending as an event. ``text()`` raises if the answer is not complete.
* Errors carry the server's error message.

    with Client() as client:
        run = client.start("Hello")
        for piece in run.text():
            print(piece, end="", flush=True)
        print(run.final().usage)
"""

from streamchat.client.async_client import AsyncClient, AsyncRun
from streamchat.client.protocol import Incomplete, Refused, ServerFailed, TooMany, Unreachable
from streamchat.client.run_state import ConversationEvent, Entry, Snapshot
from streamchat.client.sync_client import Client, Run

__all__ = [
    "AsyncClient",
    "AsyncRun",
    "Client",
    "ConversationEvent",
    "Entry",
    "Incomplete",
    "Refused",
    "Run",
    "ServerFailed",
    "Snapshot",
    "TooMany",
    "Unreachable",
]
