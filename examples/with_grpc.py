"""Over gRPC: python examples/with_grpc.py "Hello", with STREAMCHAT_GRPC_PORT set for the server and here.

Elsewhere, take proto/streamchat/v1/runs.proto and compile it for your language; here it is compiled already.
"""

import os
import sys

import grpc

from streamchat.v1.runs_pb2 import FollowRequest, GetRequest, StartRequest, Status
from streamchat.v1.runs_pb2_grpc import RunsStub

with grpc.insecure_channel(f"localhost:{os.environ.get('STREAMCHAT_GRPC_PORT', '50051')}") as channel:
    runs = RunsStub(channel)
    begun = runs.Start(StartRequest(text=" ".join(sys.argv[1:]) or "Hello"))
    for entry in runs.Follow(FollowRequest(run_id=begun.run_id)):
        print(entry.text_delta, end="", flush=True)
    message = runs.Get(GetRequest(run_id=begun.run_id)).message
    print(f"\n{Status.Name(message.status).lower()} {message.usage.output} tokens")
