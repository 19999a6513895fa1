"""What is measured of answers: spans and metrics in memory, against the times of the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from streamchat.chat.events import Finished, TextDelta, UsageReported
from streamchat.errors import ProviderError
from streamchat.providers.catalog import Catalog, Source
from streamchat.runs.retries import Policy
from streamchat.simulator import MODELS, Simulator
from streamchat.telemetry.instruments import GAPS_PER_ANSWER
from streamchat.tools import tool
from tests.integration.runs.conftest import World, make_world
from tests.support.measured import Measured, identity

SECRET = "zebrafish"


@pytest.fixture
def measured() -> Measured:
    return Measured.new()


@pytest.fixture
async def simulated(tmp_path: Path, measured: Measured) -> AsyncIterator[World]:
    """Real connections to the simulator."""

    @tool
    def calculate(expression: str) -> str:
        """Calculate."""
        return expression

    catalog = Catalog([Source("simulator", Simulator(), list(MODELS))])
    async with make_world(tmp_path, catalog=catalog, tools=[calculate]) as world:
        world.runs.measure = measured.telemetry.ended
        world.model = "simulator:tour"
        yield world


async def ended(world: World, run_id: str) -> dict[str, Any]:
    """The times of an answer, once it has been measured too."""
    message = await world.ended(run_id)
    if run := world.runs.active(run_id):
        assert run.task is not None
        await asyncio.wait([run.task])
    assert message.timing is not None
    return dict(message.timing)


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


async def test_a_run_is_a_trace(simulated: World, measured: Measured):
    """Request → run → provider call, under the run's id; each call of a run with tools has a span, and nothing more."""
    simulated.model = "simulator:tools"
    with measured.telemetry.request("POST", {}) as request:
        begun = await simulated.start(f"{SECRET} n=20 rate=200 ttft=50")
        request.route, request.status = "/api/runs", 201
    timing = await ended(simulated, begun.run_id)
    server, *calls, run = sorted(measured.spans, key=lambda span: (span.name.split()[0] != "POST", span.end_time or 0))
    assert [span.name for span in (server, run, *calls)] == [
        "POST /api/runs",
        "invoke_agent streamchat",
        "chat tools",
        "chat tools",
    ]
    assert run.parent is not None
    assert run.parent.span_id == identity(server).span_id
    assert all(call.parent is not None and call.parent.span_id == identity(run).span_id for call in calls)
    for span in (run, *calls):
        assert span.attributes is not None
        assert span.attributes["streamchat.run.id"] == begun.run_id
        assert span.attributes["gen_ai.provider.name"] == "simulator"
        assert span.attributes["gen_ai.request.model"] == "tools"
    reasons = [call.attributes["gen_ai.response.finish_reasons"] for call in calls if call.attributes]
    assert reasons == [("tool-calls",), ("stop",)]
    first = calls[0].attributes or {}
    assert first["gen_ai.operation.name"] == "chat"
    assert isinstance(first["gen_ai.usage.output_tokens"], int)
    chunk = first["gen_ai.response.time_to_first_chunk"]
    assert isinstance(chunk, float)
    assert chunk * 1000 == pytest.approx(timing["ttfb_ms"] - timing["asked_ms"], abs=2)
    assert [event.name for event in calls[0].events] == ["connected"]
    assert (run.attributes or {})["streamchat.ttc_ms"] == timing["ttc_ms"]
    assert seconds(run) * 1000 == pytest.approx(timing["ttc_ms"], abs=2)
    assert seconds(run) >= sum(map(seconds, calls))
    assert run.start_time is not None
    assert run.start_time <= min(call.start_time or 0 for call in calls)
    everything = " ".join(span.to_json() for span in measured.spans)
    data = measured.reader.get_metrics_data()
    assert data is not None
    assert SECRET not in everything + data.to_json()


async def test_a_retried_call_is_two_calls(simulated: World, measured: Measured):
    """One that failed, with its kind, and one that answered; the run has no error."""
    begun = await simulated.start("n=5 rate=200 fault=overloaded ok_after=1")
    await ended(simulated, begun.run_id)
    *calls, run = measured.spans
    kinds = [(call.attributes or {}).get("error.type") for call in calls]
    assert kinds == ["overloaded", None]
    assert "error.type" not in (run.attributes or {})
    durations = measured.points("gen_ai.client.inference.duration")
    assert sorted(point.attributes.get("error.type", "") for point in durations) == ["", "overloaded"]


async def test_metrics_of_an_answer(tmp_path: Path, measured: Measured):
    """Outcome, times, tokens and cost: the figures of the log."""
    async with make_world(tmp_path, Policy(cost=lambda model, usage: (usage.output or 0) / 1000)) as world:
        await check_metrics_of_an_answer(world, measured)


async def check_metrics_of_an_answer(world: World, measured: Measured) -> None:
    world.runs.measure = measured.telemetry.ended
    begun = await world.start(SECRET)
    world.provider.say(*(TextDelta(SECRET) for _ in range(3)), UsageReported(7, 40, 5), Finished())
    timing = await ended(world, begun.run_id)
    model = {"gen_ai.provider.name": "fake", "gen_ai.request.model": "one"}
    (answers,) = measured.points("streamchat.answers")
    assert (answers.value, answers.attributes) == (1, {**model, "streamchat.outcome": "finished"})
    for name, milliseconds in (("first_token", "ttft_ms"), ("last_token", "ttlt_ms"), ("complete", "ttc_ms")):
        (point,) = measured.points(f"streamchat.answer.time_to_{name}")
        assert (point.count, round(point.sum * 1000)) == (1, timing[milliseconds])
    tokens = {
        kind: measured.points(f"gen_ai.client.inference.usage.{kind}")[0].value
        for kind in ("input_tokens", "output_tokens", "cache_read.input_tokens")
    }
    assert tokens == {"input_tokens": 7, "output_tokens": 40, "cache_read.input_tokens": 5}
    (cost,) = measured.points("streamchat.cost.usd")
    assert cost.value == pytest.approx(0.04)


async def test_gaps_of_a_long_answer_are_few_measurements(world: World, measured: Measured):
    """The distribution of all, by a number of measurements that does not grow with the answer."""
    world.runs.measure = measured.telemetry.ended
    begun = await world.start()
    for _ in range(100):
        seq = world.log.snapshot(begun.run_id).seq
        world.provider.say(TextDelta("x"))
        while world.log.snapshot(begun.run_id).seq == seq:
            await asyncio.sleep(0)
    world.provider.say(Finished())
    timing = await ended(world, begun.run_id)
    (point,) = measured.points("gen_ai.client.inference.time_per_output_chunk")
    assert point.count == GAPS_PER_ANSWER
    assert point.min * 1000 <= timing["gap_p50_ms"] * 1.01
    assert point.max * 1000 >= timing["gap_p95_ms"] * 0.99


@pytest.mark.parametrize("how", ["stopped", "failed", "interrupted"])
async def test_other_outcomes_are_counted(world: World, measured: Measured, how: str):
    """With the kind of the error, and without times that did not happen."""
    world.runs.measure = measured.telemetry.ended
    begun = await world.start()
    if how == "stopped":
        await world.runs.cancel("local", begun.run_id)
    else:
        world.provider.say(ProviderError("no", kind="bad-key") if how == "failed" else None)
    await ended(world, begun.run_id)
    (answers,) = measured.points("streamchat.answers")
    assert answers.attributes["streamchat.outcome"] == how
    assert answers.attributes.get("error.type") == {"stopped": None, "failed": "bad-key", "interrupted": "cut"}[how]
    assert measured.points("streamchat.answer.time_to_first_token") == []
    (run,) = measured.spans
    assert run.status.is_ok == (how == "stopped")


async def test_a_measurement_that_fails_changes_no_answer(world: World):
    def fail(*_: object) -> None:
        raise RuntimeError(json.dumps("no"))

    world.runs.measure = fail
    begun = await world.start()
    world.provider.say(TextDelta("a"), Finished())
    assert (await world.ended(begun.run_id)).status == "finished"
    assert (await world.reached(begun.run_id, "finished")).text == "a"
