"""The cost of an answer, wherever its usage is."""

from __future__ import annotations

from pathlib import Path

from streamchat.chat.events import Finished, TextDelta, UsageReported
from tests.integration.web.conftest import Api, MakeApi, parsed


async def test_the_cost_of_an_answer_is_beside_its_usage(make_api: MakeApi, tmp_path: Path):
    """Run, events, message and both exports have it, and it is stored."""
    prices = tmp_path / "prices.toml"
    prices.write_text('[models]\n"fake:*" = { input = 2, cached = 1, output = 10 }')
    async with make_api(STREAMCHAT_PRICES=str(prices)) as api:
        run_id = await api.said(TextDelta("yes"), UsageReported(1000, 100, cached=400), Finished())
        expected = (600 * 2 + 400 * 1 + 100 * 10) / 1e6
        run = (await api.client.get(f"/api/runs/{run_id}")).json()
        assert (run["cost_usd"], run["message"]["usage"]["cost_usd"]) == (expected, expected)
        [usage] = [e for e in parsed(await api.events(f"/api/runs/{run_id}/events")) if e["type"] == "usage"]
        assert usage["cost_usd"] == expected
        where = f"/api/conversations/{run['conversation_id']}"
        stored = (await api.client.get(where)).json()["messages"][-1]
        assert stored["usage"] == {"input": 1000, "output": 100, "cached": 400, "cost_usd": expected}
        export = (await api.client.get(f"{where}/export?format=json")).json()
        assert export["messages"][-1]["usage"]["cost_usd"] == expected
        assert "*Cost: $0.0026*" in (await api.client.get(f"{where}/export?format=markdown")).text


async def test_without_a_price_there_is_no_cost(api: Api):
    """Not even one of 0."""
    run_id = await api.said(TextDelta("yes"), UsageReported(1000, 100), Finished())
    run = (await api.client.get(f"/api/runs/{run_id}")).json()
    assert "cost" not in str(run)
    export = await api.client.get(f"/api/conversations/{run['conversation_id']}/export?format=markdown")
    assert "Cost" not in export.text
