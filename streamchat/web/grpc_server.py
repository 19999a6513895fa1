"""The gRPC port: opened where a setting names it, with the standard health service, closed in order.

Knows the port, not the calls. Rules:

* Off unless ``STREAMCHAT_GRPC_PORT`` is set, and on loopback unless ``STREAMCHAT_GRPC_HOST`` says otherwise.
* Several workers share the port (``SO_REUSEPORT``): the kernel spreads the connections, each worker can serve any
  run, and one that ends takes only its own connections with it. That nobody else holds the port is checked before
  the first of them starts, because a port that is shared like this refuses nobody.
* Nothing of gRPC is imported where it is off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streamchat.wiring import services

GRACE_SECONDS = 0.5
_OPTIONS = (
    ("grpc.so_reuseport", 1),
    # A reader that is half open is noticed, and what stands between keeps the connection while a model is silent.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.max_receive_message_length", 20 * 1024 * 1024),
    # One reader that stalls holds this much, not whole answers.
    ("grpc.http2.write_buffer_size", 64 * 1024),
)


@asynccontextmanager
async def grpc_lifespan() -> AsyncIterator[None]:
    """Serve for as long as the app does."""
    settings = services().settings
    if settings.grpc_port is None:
        yield
        return
    import grpc.aio
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc

    from streamchat.web.grpc_runs import SERVICE, handlers

    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((handlers(),))
    healthy = health.aio.HealthServicer()  # pyright: ignore[reportAttributeAccessIssue] bound by hand there
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    for name in ("", SERVICE):
        await healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
    host = f"[{settings.grpc_host}]" if ":" in settings.grpc_host else settings.grpc_host
    server.add_insecure_port(f"{host}:{settings.grpc_port}")
    await server.start()
    try:
        yield
    finally:
        await healthy.enter_graceful_shutdown()
        await server.stop(GRACE_SECONDS)
