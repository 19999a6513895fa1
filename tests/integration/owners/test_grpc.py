"""Two people on one server over gRPC: metadata says who calls."""

from __future__ import annotations

import grpc
import pytest

from streamchat.chat.events import TextDelta
from tests.integration.grpc.conftest import MakeServer, make_server, pb
from tests.support.owners import A, B, identify_by_header

__all__ = ["make_server"]

# Every call of the service that names a run, as the other person makes it.
CALLS = {
    "Start": lambda run, conversation: pb.StartRequest(text="hi", conversation_id=conversation),
    "Get": lambda run, conversation: pb.GetRequest(run_id=run),
    "Stop": lambda run, conversation: pb.StopRequest(run_id=run),
    "Decide": lambda run, conversation: pb.DecideRequest(run_id=run, call_id="c", approve=True),
    "Steer": lambda run, conversation: pb.SteerRequest(run_id=run, text="hi"),
    "Follow": lambda run, conversation: pb.FollowRequest(run_id=run),
    "FollowConversation": lambda run, conversation: pb.FollowConversationRequest(conversation_id=conversation),
}


async def test_no_call_reaches_the_run_of_another(make_server: MakeServer):
    """Each is NOT_FOUND for the other person, refused for nobody, and the run of its owner goes on."""
    assert {method.name for method in pb.DESCRIPTOR.services_by_name["Runs"].methods} == set(CALLS)
    async with make_server(identify=identify_by_header) as server:
        mine = tuple(A.items())
        begun = await server.stub.Start(pb.StartRequest(text="hello"), metadata=mine)
        server.world.provider.say(TextDelta("secret"))
        for method, request in CALLS.items():
            for metadata, code in ((tuple(B.items()), "NOT_FOUND"), ((), "INTERNAL")):
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    call = getattr(server.stub, method)(request(begun.run_id, begun.conversation_id), metadata=metadata)
                    await (call.read() if method.startswith("Follow") else call)
                assert error.value.code().name == code, method
        run = await server.stub.Get(pb.GetRequest(run_id=begun.run_id), metadata=mine)
        assert run.message.status == pb.STREAMING
