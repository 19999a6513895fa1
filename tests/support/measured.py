"""Telemetry whose metrics and spans stay in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from streamchat.telemetry.instruments import Telemetry


@dataclass
class Measured:
    """``telemetry`` measures into ``reader`` and ``exporter``."""

    telemetry: Telemetry
    reader: InMemoryMetricReader
    exporter: InMemorySpanExporter

    @classmethod
    def new(cls) -> Measured:
        reader, exporter, tracers = InMemoryMetricReader(), InMemorySpanExporter(), TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(exporter))
        return cls(Telemetry(MeterProvider([reader]), tracers), reader, exporter)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def points(self, name: str) -> list[Any]:
        """The data points of a metric."""
        data = self.reader.get_metrics_data()
        metrics = [m for r in (data.resource_metrics if data else ()) for s in r.scope_metrics for m in s.metrics]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


def identity(span: ReadableSpan) -> SpanContext:
    """What other spans name it by."""
    assert span.context is not None
    return span.context
