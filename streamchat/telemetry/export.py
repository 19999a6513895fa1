"""Where measurements go: ``/metrics`` on a port of its own, and a collector by OTLP over HTTP.

Knows the OpenTelemetry SDK. Rules:

* Addresses, headers, time-outs, intervals, sampling and the name of the service are those of the standard ``OTEL_*``
  variables, which the SDK reads itself.
* Closing waits for what is exported for ``CLOSE_SECONDS`` at most. Nothing else waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracerProvider
from prometheus_client import CollectorRegistry, start_http_server

from streamchat.errors import SettingsError
from streamchat.telemetry.instruments import Telemetry

CLOSE_SECONDS = 2.0
logger = logging.getLogger(__name__)


class Exporter:
    """The measurements of a process, and where they go.

    ``metrics``: address and port of ``/metrics``, ``None`` without. ``otlp_metrics``, ``otlp_traces``: whether a
    collector gets them. Raises ``SettingsError`` if the port cannot be used.
    """

    def __init__(self, *, metrics: tuple[str, int] | None, otlp_metrics: bool, otlp_traces: bool, service: str) -> None:
        self._server = None
        readers: list[MetricReader] = []
        if metrics is not None:
            registry = CollectorRegistry()
            readers.append(PrometheusMetricReader(scope_info_enabled=False, registry=registry))
            try:
                self._server, _ = start_http_server(metrics[1], metrics[0], registry)
            except OSError as error:
                address = f"{metrics[0]}:{metrics[1]}"
                raise SettingsError(f"Cannot serve metrics on {address}: {error.strerror or error}.") from None
        if otlp_metrics:
            readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
        processors: list[SpanProcessor] = [BatchSpanProcessor(OTLPSpanExporter())] if otlp_traces else []
        self._start(readers, processors, service)

    def _start(self, readers: list[MetricReader], processors: list[SpanProcessor], service: str) -> None:
        resource = Resource.create()
        if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: service}))
        self._meters = MeterProvider(readers, resource, shutdown_on_exit=False)
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False) if processors else None
        for processor in processors:
            assert self._tracers is not None
            self._tracers.add_span_processor(processor)
        self.telemetry = Telemetry(self._meters, self._tracers or NoOpTracerProvider())

    async def close(self) -> None:
        """Export what waits, for at most ``CLOSE_SECONDS``."""
        if self._server is not None:
            await asyncio.to_thread(self._server.shutdown)
            self._server.server_close()
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            try:
                for provider in (self._tracers, self._meters):
                    if provider is not None:
                        provider.shutdown()
            except Exception as error:
                logger.warning("the last measurements are lost: %s", type(error).__name__)
            with suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(done.set)

        # Not ``to_thread``: the end of the process would wait for it.
        threading.Thread(target=shut_down, name="telemetry", daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), CLOSE_SECONDS)
