"""With httpx and httpx-sse, resuming by hand: python examples/with_httpx.py "Hello"."""

import json
import os
import sys
import time

import httpx
from httpx_sse import connect_sse

ENDINGS = ("finished", "stopped", "failed", "interrupted")

with httpx.Client(base_url=os.environ.get("STREAMCHAT_URL", "http://localhost:3000"), timeout=30) as http:
    begun = http.post("/api/runs", json={"message": " ".join(sys.argv[1:]) or "Hello"}).raise_for_status().json()
    seq, ended = "0", False
    while not ended:
        try:
            with connect_sse(http, "GET", begun["events_url"], headers={"Last-Event-ID": seq}) as source:
                for event in source.iter_sse():
                    if event.event == "text-delta":
                        print(json.loads(event.data)["text"], end="", flush=True)
                    ended = ended or event.event in ENDINGS
                    seq = event.id
        except httpx.TransportError:
            time.sleep(1)  # and go on behind the last event
    print("\n" + http.get(f"/api/runs/{begun['run_id']}").json()["status"])
