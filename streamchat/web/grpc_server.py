"""The gRPC server: port, limits, the standard health service, and an orderly shutdown.

Knows the port, not the calls. Rules:

* Off unless ``STREAMCHAT_GRPC_PORT`` is set, and on loopback unless ``STREAMCHAT_GRPC_HOST`` says otherwise.
* Several workers share the port (``SO_REUSEPORT``). The kernel spreads the connections, each worker can serve any run,
  and a worker that ends closes only its own connections. Before the first worker starts, the port is checked to be
  free: a port shared like this would refuse no other program.
* gRPC is not imported while it is off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streamchat.wiring import ServiceHolder

GRACE_SECONDS = 0.5
_OPTIONS = (
    ("grpc.so_reuseport", 1),
    # Half-open connections are noticed, and middleboxes keep the connection while a model is silent.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.max_receive_message_length", 20 * 1024 * 1024),
    ("grpc.max_metadata_size", 16 * 1024),
    # A connection without calls is closed after five minutes; clients open another one when they need it.
    ("grpc.max_connection_idle_ms", 300_000),
    # A stalled reader holds this much, not whole answers.
    ("grpc.http2.write_buffer_size", 64 * 1024),
)


@asynccontextmanager
async def grpc_lifespan(holder: ServiceHolder) -> AsyncIterator[None]:
    """Serve gRPC as long as the app runs, if a port is set."""
    settings = holder.services.settings
    if settings.grpc_port is None:
        yield
        return
    import grpc.aio
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc

    from streamchat.web.grpc_runs import SERVICE, RunsServicer

    limits = (
        ("grpc.max_concurrent_streams", settings.streams_per_client + 100),  # of one connection
        ("grpc.server_handshake_timeout_ms", round(settings.request_timeout * 1000)),
    )
    server = grpc.aio.server(options=_OPTIONS + limits, maximum_concurrent_rpcs=settings.connections)
    server.add_generic_rpc_handlers((RunsServicer(holder.services).handlers(),))
    healthy = health.aio.HealthServicer()
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
