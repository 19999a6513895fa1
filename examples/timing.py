"""The times of an answer, from Send: python examples/timing.py "ttft=500 rate=50 n=200"."""

import os
import sys
import time

from streamchat.client import Client

with Client(os.environ.get("STREAMCHAT_URL", "http://localhost:3000")) as client:
    sent = time.monotonic()
    run = client.start(" ".join(sys.argv[1:]) or "Hello", model=os.environ.get("STREAMCHAT_MODEL", "simulator:tour"))
    times = [time.monotonic() - sent for _ in run.text()]
    run.final()
    complete = time.monotonic() - sent
# Who reads the answer buffered has nothing before it is complete.
print(f"TTFT {times[0]:.2f} s, TTLT {times[-1]:.2f} s, TTC {complete:.2f} s")
print(f"something to read {complete / times[0]:.1f} times sooner")
