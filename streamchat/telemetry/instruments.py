"""Measurements: of each answer after its ending, of each request of the API, and of the process when it is asked.

Knows the OpenTelemetry API, not where measurements go. See the rules of the package.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import context, propagate, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.util.types import AttributeValue

from streamchat.chat.events import UsageReported
from streamchat.chat.messages import Message
from streamchat.chat.timing import Call, Stopwatch, Timing

SCOPE = "streamchat"
# The conventions' boundaries for the duration of a call, and for the time to its first chunk. Seconds.
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
# The conventions' boundaries for the time per output chunk, and of HTTP requests. Seconds.
GAPS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 10.0)
REQUESTS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
# Gaps between tokens that are recorded of an answer: all of them, or so many evenly spaced ones of a long answer. One
# measurement takes 6 µs.
GAPS_PER_ANSWER = 16
# Adapters of one vendor have one name there.
_PROVIDERS = {"openai-chat": "openai", "openai-responses": "openai"}
Attributes = dict[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Process:
    """What the process knows of itself, read when metrics are collected, in any thread."""

    running: Callable[[], int]
    queued: Callable[[], int]
    readers: Callable[[], int]
    pending_writes: Callable[[], int]
    pauses: Callable[[], tuple[int, float]]
    """How often the event loop stood still, and for how many seconds altogether."""
    database_errors: Callable[[], Mapping[str, int]]
    takeovers: Callable[[], int]


class Telemetry:
    """Measures; thread-safe."""

    def __init__(self, meters: MeterProvider, tracers: TracerProvider) -> None:
        meter = meters.get_meter(SCOPE)
        self._tracer = tracers.get_tracer(SCOPE)
        self._meter = meter

        def seconds(name: str, what: str, boundaries: tuple[float, ...] = SECONDS):
            return meter.create_histogram(
                name, unit="s", description=what, explicit_bucket_boundaries_advisory=boundaries
            )

        self._answers = meter.create_counter("streamchat.answers", "{answer}", "Answers that have ended.")
        self._ttft = seconds("streamchat.answer.time_to_first_token", "From the question to the first token.")
        self._ttlt = seconds("streamchat.answer.time_to_last_token", "From the question to the last token.")
        self._ttc = seconds("streamchat.answer.time_to_complete", "From the question to the stored ending.")
        self._queue = seconds("streamchat.answer.queue_time", "From the question to the request to the provider.")
        self._spent = meter.create_counter("streamchat.cost.usd", "{USD}", "Price of the tokens, if it is known.")
        self._duration = seconds("gen_ai.client.inference.duration", "Requests to providers.")
        self._first_chunk = seconds(
            "gen_ai.client.inference.time_to_first_chunk", "From a request to the first byte of its response."
        )
        self._chunks = seconds(
            "gen_ai.client.inference.time_per_output_chunk",
            f"Gaps between tokens, at most {GAPS_PER_ANSWER} evenly spaced ones of an answer.",
            GAPS,
        )
        self._input = meter.create_counter("gen_ai.client.inference.usage.input_tokens", "{token}", "Input tokens.")
        self._output = meter.create_counter("gen_ai.client.inference.usage.output_tokens", "{token}", "Output tokens.")
        self._cached = meter.create_counter(
            "gen_ai.client.inference.usage.cache_read.input_tokens", "{token}", "Input tokens from a cache."
        )
        self._written = meter.create_counter(
            "gen_ai.client.inference.usage.cache_write.input_tokens", "{token}", "Input tokens put into a cache."
        )
        self._requests = seconds("http.server.request.duration", "Requests of the API.", REQUESTS)

    # Answers

    def ended(self, message: Message, conversation_id: str, watch: Stopwatch | None) -> None:
        """Measure an answer that has ended; ``watch``: its times, ``None`` if they are not known here."""
        model = _model(message.model)
        outcome: Attributes = {**model, "streamchat.outcome": message.status}
        if message.error:
            outcome["error.type"] = message.error.kind
        self._answers.add(1, outcome)
        self._count_tokens(message, model)
        timing = Timing(**message.timing) if message.timing else Timing()
        for histogram, milliseconds in (
            (self._queue, timing.asked_ms),
            (self._ttft, timing.ttft_ms),
            (self._ttlt, timing.ttlt_ms),
            (self._ttc, timing.ttc_ms),
        ):
            if milliseconds is not None:
                histogram.record(milliseconds / 1000, model)
        if watch is not None:
            names: Attributes = {"gen_ai.operation.name": "chat", **model}
            for gap in watch.gaps(GAPS_PER_ANSWER):
                self._chunks.record(gap, names)
            self._trace(message, conversation_id, watch, outcome, timing)

    def _count_tokens(self, message: Message, model: Attributes) -> None:
        usage = message.usage or UsageReported()
        for counter, count in (
            (self._input, usage.input),
            (self._output, usage.output),
            (self._cached, usage.cached),
            (self._written, usage.written),
        ):
            if count:
                counter.add(count, {"gen_ai.operation.name": "chat", **model})
        if usage.cost_usd is not None:
            self._spent.add(usage.cost_usd, model)

    def _trace(
        self, message: Message, conversation_id: str, watch: Stopwatch, outcome: Attributes, timing: Timing
    ) -> None:
        """Make the span of the run, as a child of the request that started it, and one of each provider call."""
        clock = _Clock()
        attributes: Attributes = {
            **outcome,
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": SCOPE,
            "gen_ai.conversation.id": conversation_id,
            "streamchat.run.id": message.id,
            **{f"streamchat.{name}": value for name, value in timing.to_json().items()},
        }
        run = self._tracer.start_span(
            f"invoke_agent {SCOPE}", kind=SpanKind.INTERNAL, attributes=attributes, start_time=clock.ns(watch.started)
        )
        inside = trace.set_span_in_context(run)
        for call in watch.calls:
            self._trace_call(call, inside, clock, watch.now, outcome, message.id)
        if message.status in ("failed", "interrupted"):
            run.set_status(Status(StatusCode.ERROR))
        run.end(clock.ns(watch.now))

    def _trace_call(
        self, call: Call, inside: context.Context, clock: _Clock, now: float, outcome: Attributes, run_id: str
    ) -> None:
        ended = now if call.ended is None else call.ended
        error = call.error
        if not error and not call.finish_reason and outcome["streamchat.outcome"] != "finished":
            error = str(outcome["streamchat.outcome"])
        names: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": outcome["gen_ai.provider.name"],
            "gen_ai.request.model": call.model,
        }
        span = self._tracer.start_span(
            f"chat {call.model}",
            inside,
            SpanKind.CLIENT,
            {**names, "gen_ai.request.stream": True, "streamchat.run.id": run_id},
            start_time=clock.ns(call.started),
        )
        if call.connected is not None:
            span.add_event("connected", timestamp=clock.ns(call.connected))
        if call.first_byte is not None:
            span.set_attribute("gen_ai.response.time_to_first_chunk", call.first_byte - call.started)
            self._first_chunk.record(call.first_byte - call.started, names)
        if call.finish_reason:
            span.set_attribute("gen_ai.response.finish_reasons", [call.finish_reason])
        for name, count in _usage(call.usage).items():
            span.set_attribute(name, count)
        if error:
            span.set_attribute("error.type", error)
            if error != "stopped":
                span.set_status(Status(StatusCode.ERROR))
        self._duration.record(ended - call.started, {**names, "error.type": error} if error else names)
        span.end(clock.ns(ended))

    # Requests

    @contextmanager
    def request(self, method: str, headers: Mapping[str, str]) -> Iterator[RequestSpan]:
        """Measure a request of the API, and be the parent of the runs that it starts.

        ``headers`` in lower case: ``traceparent`` makes it part of the caller's trace.
        """
        started = time.perf_counter()
        parent = propagate.extract(headers)
        with self._tracer.start_as_current_span(
            method, parent, SpanKind.SERVER, {"http.request.method": method}, record_exception=False
        ) as span:
            request = RequestSpan(span)
            try:
                yield request
            finally:
                names: Attributes = {"http.request.method": method, "http.route": request.route}
                names["http.response.status_code"] = request.status
                span.update_name(f"{method} {request.route}")
                span.set_attributes(names)
                if request.status >= 500:
                    span.set_status(Status(StatusCode.ERROR))
                    names["error.type"] = str(request.status)
                self._requests.record(time.perf_counter() - started, names)

    # The process

    def observe(self, process: Process) -> None:
        """Read this whenever metrics are collected."""

        def one(read: Callable[[], float]) -> list[Callable[[CallbackOptions], Iterable[Observation]]]:
            return [lambda _: [Observation(read())]]

        def reasons(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(count, {"reason": reason}) for reason, count in process.database_errors().items()]

        meter = self._meter
        meter.create_observable_gauge(
            "streamchat.answers.running", one(process.running), "{answer}", "Answers that this process writes."
        )
        meter.create_observable_gauge(
            "streamchat.answers.queued", one(process.queued), "{answer}", "Answers that wait for a free place."
        )
        meter.create_observable_gauge("streamchat.readers", one(process.readers), "{reader}", "Readers of answers.")
        meter.create_observable_gauge(
            "streamchat.writes.pending", one(process.pending_writes), "{write}", "Endings that wait for the database."
        )
        meter.create_observable_counter(
            "streamchat.loop.pauses", one(lambda: process.pauses()[0]), "{pause}", "Pauses of the event loop."
        )
        meter.create_observable_counter(
            "streamchat.loop.pause.time", one(lambda: process.pauses()[1]), "s", "Length of these pauses together."
        )
        meter.create_observable_counter(
            "streamchat.takeovers", one(process.takeovers), "{answer}", "Answers of processes that are gone."
        )
        meter.create_observable_counter("streamchat.database.errors", [reasons], "{error}", "Failed database calls.")


@dataclass(slots=True)
class RequestSpan:
    """What is known of a request at its end. ``route``: the pattern of its path, "" if none matched."""

    span: Span
    route: str = ""
    status: int = 500


class _Clock:
    """Turns times of ``time.monotonic()`` in seconds into Unix nanoseconds."""

    def __init__(self) -> None:
        self._now, self._monotonic = time.time_ns(), time.monotonic()

    def ns(self, at: float) -> int:
        return self._now + round((at - self._monotonic) * 1e9)


def _model(model_id: str) -> Attributes:
    provider, _, name = model_id.partition(":")
    return {"gen_ai.provider.name": _PROVIDERS.get(provider, provider), "gen_ai.request.model": name}


def _usage(usage: UsageReported | None) -> dict[str, int]:
    if usage is None:
        return {}
    counts = {
        "gen_ai.usage.input_tokens": usage.input,
        "gen_ai.usage.output_tokens": usage.output,
        "gen_ai.usage.cache_read.input_tokens": usage.cached,
        "gen_ai.usage.cache_write.input_tokens": usage.written,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
    }
    return {name: count for name, count in counts.items() if count is not None}
