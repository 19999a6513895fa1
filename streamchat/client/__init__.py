"""A client of streamchat's HTTP API, for scripts and for the terminal.

``Client`` and ``AsyncClient`` start answers, read them from any point, and stop them. Rules:

* A lost connection is taken up again by itself, from the last event that arrived, so that a reader sees each once.
* ``events()`` and ``entries()`` tell every ending as an event. ``text()`` raises where the answer is not complete.
* Errors carry the server's sentence.

    with Client() as client:
        run = client.start("Hello")
        for piece in run.text():
            print(piece, end="", flush=True)
        print(run.final().usage)
"""

from streamchat.client.aio import AsyncClient, AsyncRun
from streamchat.client.protocol import Incomplete, Refused, ServerFailed, TooMany, Unreachable
from streamchat.client.reading import Entry, Snapshot
from streamchat.client.sync import Client, Run

__all__ = [
    "AsyncClient",
    "AsyncRun",
    "Client",
    "Entry",
    "Incomplete",
    "Refused",
    "Run",
    "ServerFailed",
    "Snapshot",
    "TooMany",
    "Unreachable",
]
