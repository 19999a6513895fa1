"""A reader of a run over this server's own gRPC port, for the page's comparison of transports.

Knows the call ``Follow``, not who shows what it yields. gRPC is not imported while it is off.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator

from streamchat.errors import StreamchatError
from streamchat.wiring import Services

_FOLLOW = "/streamchat.v1.Runs/Follow"
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


async def follow(services: Services, run_id: str) -> AsyncGenerator[tuple[float, int, str], None]:
    """Yield arrival in Unix seconds, size in bytes and text of each entry of a run, to its end.

    Close the generator. Raises ``StreamchatError`` if gRPC is off, or with the reason of a refusal.
    """
    settings = services.settings
    if settings.grpc_port is None:
        raise StreamchatError("Off. Set STREAMCHAT_GRPC_PORT=50051 and start the server again.", kind="unavailable")
    import grpc.aio

    from streamchat.v1 import runs_pb2 as pb

    host = _ANYWHERE.get(settings.grpc_host, settings.grpc_host)
    target = f"[{host}]:{settings.grpc_port}" if ":" in host else f"{host}:{settings.grpc_port}"
    # Its own connection: a shared one would be one stream among others.
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        call = channel.unary_stream(_FOLLOW, pb.FollowRequest.SerializeToString)
        try:
            async for data in call(pb.FollowRequest(run_id=run_id)):
                at, entry = time.time(), pb.Entry.FromString(data)
                yield at, len(data), entry.text_delta or entry.snapshot.text
        except grpc.aio.AioRpcError as error:
            raise StreamchatError(f"gRPC: {error.details() or error.code().name}.") from None
