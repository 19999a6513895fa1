"""``/metrics`` and the collector: what a whole process exports, and that exporting is in nobody's way."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from devservers.ports import free_port
from streamchat.chat.events import TextDelta, UsageReported
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import NewRun
from streamchat.chat.timing import Stopwatch
from streamchat.errors import SettingsError
from streamchat.runs.reader import RunReader
from streamchat.settings import load_settings
from streamchat.telemetry import export
from streamchat.wiring import Services, running_services
from tests import ROOT

GRAFANA = ROOT / "deploy" / "grafana"
Open = Callable[..., Awaitable[Services]]


@pytest.fixture
async def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the services of a process with these settings."""
    async with AsyncExitStack() as stack:

        async def open_services(**variables: str) -> Services:
            for name, value in {"STREAMCHAT_DATA_DIR": str(tmp_path), "STREAMCHAT_MODELS": "simulator:tour"}.items():
                monkeypatch.setenv(name, value)
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            return await stack.enter_async_context(running_services(load_settings()))

        yield open_services
    for thread in threading.enumerate():  # they would warn in other tests
        if thread.name.startswith(("Otel", "telemetry")):
            await asyncio.to_thread(thread.join, 30)


async def answered(services: Services, message: str) -> str:
    """The text of an answer, as its reader got it."""
    begun = await services.runs.start(
        "local", NewRun(client_message_id=message[:100], model="simulator:tour", parts=(TextPart(message),))
    )
    reader = RunReader(services.runs, "local", begun.run_id)
    async for _ in reader.batches():
        pass
    while services.runs.active(begun.run_id):
        await asyncio.sleep(0.005)
    return services.runs.log.snapshot(begun.run_id).message.text


async def scraped(port: int, path: str = "/metrics") -> str:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        response = await client.get(f"http://127.0.0.1:{port}{path}")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return response.text


def metrics_of(expression: str) -> set[str]:
    """The metrics that a query asks for, without the names of labels."""
    bare = re.sub(r"\{[^}]*\}|by \([^)]*\)", "", expression)
    names = re.findall(r"\b(?:streamchat|gen_ai|http)_\w+", bare)
    return {re.sub("_(bucket|sum|count)$", "", name) for name in names}


async def test_everything_on_the_dashboard_exists(opened: Open):
    """What panels and alerts ask for is what a process measures: no more, so that none stays empty, and no less."""
    port = free_port()
    services = await opened(STREAMCHAT_METRICS=str(port))
    assert services.telemetry is not None
    with services.telemetry.request("GET", {}):
        await answered(services, "zebrafish n=5 rate=0 ttft=0")
    await answered(services, "n=5 rate=0 ttft=0 fault=bad-key")
    watch = Stopwatch(0)
    for at in (1, 2):
        watch.add(TextDelta("a"), at)
    used = UsageReported(10, 5, cached=1, written=1, cost_usd=0.1)
    services.telemetry.ended(Message("m", "assistant", model="openai:gpt", usage=used), "c", watch)
    services.store._database.errors["locked"] += 1
    text = await scraped(port)
    assert "zebrafish" not in text
    names = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"^(\w+)[{ ]", text, re.MULTILINE)}
    expressions = [
        target["expr"]
        for panel in json.loads((GRAFANA / "dashboard.json").read_text())["panels"]
        for target in panel.get("targets", ())
    ]
    expressions += re.findall(r"expr: (.+)", (GRAFANA / "alerts.yaml").read_text())
    assert len(expressions) > 15
    asked = {expression: metrics_of(expression) for expression in expressions}
    assert {expression: wanted - names for expression, wanted in asked.items() if not wanted or wanted - names} == {}
    shown = {name for name in names if name.startswith(("streamchat_", "gen_ai_", "http_"))}
    assert shown == set().union(*asked.values()), "measured, and on no panel"


async def test_off_is_off(opened: Open):
    services = await opened()
    assert services.telemetry is None
    assert services.runs.measure is None


async def test_each_worker_has_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch):
    for value, worker, address in (
        ("9464", "0", ("127.0.0.1", 9464)),
        ("9464", "2", ("127.0.0.1", 9466)),
        ("0.0.0.0:9000", "1", ("0.0.0.0", 9001)),
        ("[::1]:9000", "0", ("::1", 9000)),
    ):
        monkeypatch.setenv("STREAMCHAT_METRICS", value)
        monkeypatch.setenv("STREAMCHAT_WORKER", worker)
        assert load_settings().metrics_address == address
    for value in ("on", "localhost", "example.com:9464", "0", "9464:", "70000", "-1"):
        monkeypatch.setenv("STREAMCHAT_METRICS", value)
        with pytest.raises(SettingsError, match="STREAMCHAT_METRICS"):
            load_settings()


async def test_a_port_in_use_is_an_error_message(opened: Open):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingsError, match="Cannot serve metrics"):
        await opened(STREAMCHAT_METRICS=str(taken.getsockname()[1]))


async def test_a_blocked_collector_delays_no_answer(opened: Open, monkeypatch: pytest.MonkeyPatch):
    """It takes the connection and never a byte, all through the answers; they are complete, and the process ends."""
    monkeypatch.setattr(export, "CLOSE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0), backlog=50) as collector:
        services = await opened(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.getsockname()[1]}",
            OTEL_BSP_SCHEDULE_DELAY="5",
            OTEL_METRIC_EXPORT_INTERVAL="5",
            OTEL_EXPORTER_OTLP_TIMEOUT="2",
        )
        connection, _ = await asyncio.to_thread(collector.accept)
        with connection:
            for number in range(3):
                text = await answered(services, f"n=30 rate=0 ttft=0 kind=numbered seed={number}")
                assert text.split()[-1] == "w000030"


async def test_a_collector_gets_the_trace(opened: Open):
    """By OTLP over HTTP, under the name of the service, with the standard variables only."""
    received: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError):  # the exporter has closed its connection
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # pyrefly: ignore[unsupported-operation]
                received.put_nowait((head.split()[1].decode(), await reader.readexactly(length)))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    collector = await asyncio.start_server(serve, "127.0.0.1", 0)
    services = await opened(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.sockets[0].getsockname()[1]}",
        OTEL_BSP_SCHEDULE_DELAY="5",
        OTEL_METRICS_EXPORTER="none",
        OTEL_EXPORTER_OTLP_COMPRESSION="none",
    )
    await answered(services, "n=5 rate=0 ttft=0")
    path, body = await received.get()
    collector.close()  # not awaited: its connection is open as long as the services are
    assert path == "/v1/traces"
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert attributes["service.name"] == "streamchat"
    assert "chat tour" in [span.name for scope in resource.scope_spans for span in scope.spans]
