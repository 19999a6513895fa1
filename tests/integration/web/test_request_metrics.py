"""Requests of the API as they are measured: by the pattern of their path, within the caller's trace."""

from __future__ import annotations

import asyncio

from streamchat.chat.events import Finished, TextDelta
from tests.integration.web.conftest import MakeApi
from tests.support.measured import Measured, identity

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


async def test_a_request_is_measured_and_is_the_parent_of_its_run(make_api: MakeApi):
    """The caller's trace goes on in the request, and in the run that it began, which outlives it."""
    measured = Measured.new()
    async with make_api(telemetry=measured.telemetry) as api:
        api.world.runs.measure = measured.telemetry.ended
        answer = await api.client.post("/api/runs", json={"message": "zebrafish"}, headers=CALLER)
        run_id = answer.json()["run_id"]
        api.provider.say(TextDelta("a"), Finished())
        await api.events(f"/api/runs/{run_id}/events")
        for path in ("/api/runs/none-such", "/api/none-such?q=zebrafish", "/page"):
            await api.client.get(path)
        while api.world.runs.active(run_id):
            await asyncio.sleep(0.005)
    spans = {span.name: span for span in measured.spans}
    assert set(spans) == {
        "POST /api/runs",
        "GET /api/runs/{run_id}/events",
        "GET /api/runs/{run_id}",
        "GET ",
        "invoke_agent streamchat",
    }
    request, run = spans["POST /api/runs"], spans["invoke_agent streamchat"]
    assert f"{identity(request).trace_id:x}" == TRACE.lstrip("0")
    assert run.parent == identity(request)
    assert (run.attributes or {})["streamchat.run.id"] == run_id
    counted = {
        (point.attributes["http.route"], point.attributes["http.response.status_code"]): point.count
        for point in measured.points("http.server.request.duration")
    }
    assert counted == {
        ("/api/runs", 201): 1,
        ("/api/runs/{run_id}/events", 200): 1,
        ("/api/runs/{run_id}", 404): 1,
        ("", 404): 1,
    }
    assert "zebrafish" not in "".join(span.to_json() for span in measured.spans)
