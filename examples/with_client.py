"""With streamchat's own client, which takes a lost connection up again: python examples/with_client.py "Hello"."""

import os
import sys

from streamchat.client import Client, Incomplete

with Client(os.environ.get("STREAMCHAT_URL", "http://localhost:3000")) as client:
    run = client.start(" ".join(sys.argv[1:]) or "Hello")
    try:
        for piece in run.text():
            print(piece, end="", flush=True)
    except Incomplete as error:
        print(f"\n{error}")
    message = run.final()
    print(f"\n{message.status} {message.stop_reason} {message.usage}")
