"""Embeddings by OpenAI's own SDK: passed on to the model's server, within the limits of calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from streamchat.processes.subprocess_server import Address
from streamchat.providers.anthropic.messages import Anthropic
from streamchat.providers.catalog import Catalog, Source
from streamchat.providers.openai.responses import OpenAIResponses
from streamchat.simulator.provider import MODELS, Simulator
from tests.integration.protocols.conftest import Api, serving_api
from tests.support.loop import LoopThread


@pytest.fixture
def api(tmp_path: Path, loop: LoopThread, simulated: Address) -> Iterator[Api]:
    """With a server that has embeddings, one that has none, and one that is gone."""

    async def build() -> Catalog:
        def source(name: str, provider: OpenAIResponses | Anthropic) -> Source:
            return Source(name, provider, open_ended=True)

        url, key = simulated.url, simulated.api_key
        return Catalog([
            Source("simulator", Simulator(address=simulated), MODELS),
            source("openai", OpenAIResponses(base_url=f"{url}/v1", api_key=key)),
            source("anthropic", Anthropic(base_url=url, api_key=key)),
            source("gone", OpenAIResponses(base_url="http://127.0.0.1:9/v1")),
        ])  # fmt: skip

    serving = serving_api(tmp_path, loop.run(build()), loop, [], STREAMCHAT_STARTS_PER_CLIENT="6")
    api = loop.run(serving.__aenter__())
    yield api
    for client in api.open:
        client.close()
    loop.run(serving.__aexit__(None, None, None))


@pytest.mark.parametrize("model", ["openai:tour", "simulator:tour"])
def test_they_are_passed_on(api: Api, model: str):
    """One text or several, as numbers and as base64, with the dimensions that were asked for; nothing is stored."""
    embeddings = api.openai().embeddings
    one = embeddings.create(model=model, input="hello", encoding_format="float")
    assert (one.model, len(one.data), len(one.data[0].embedding)) == (model, 1, 8)
    several = embeddings.create(model=model, input=["hello", "world"], dimensions=3)  # the SDK asks for base64
    assert [len(row.embedding) for row in several.data] == [3, 3]
    assert several.data[0].embedding == pytest.approx(
        embeddings.create(model=model, input="hello", dimensions=3, encoding_format="float").data[0].embedding
    )
    assert several.usage.total_tokens == 2
    assert api.http.get("/api/conversations").json()["conversations"] == []


def test_where_there_are_none(api: Api):
    """In OpenAI's shape: no embeddings, no such model, what the server itself refuses, a server that is gone."""
    client = api.openai(max_retries=0)
    with pytest.raises(openai.BadRequestError, match="no embeddings"):
        client.embeddings.create(model="anthropic:claude", input="hello")
    with pytest.raises(openai.NotFoundError) as unknown:
        client.embeddings.create(model="nobody:x", input="hello")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="openai:not-there", input="hello")
    with pytest.raises(openai.BadRequestError, match="empty"):
        client.embeddings.create(model="openai:tour", input="")
    with pytest.raises(openai.APIStatusError) as gone:
        client.embeddings.create(model="gone:x", input="hello")
    assert gone.value.status_code == 502
    for wrong in ({"model": "openai:tour"}, {"model": "openai:tour", "input": []}, {"input": "x"}):
        assert api.http.post("/v1/embeddings", json=wrong).json()["error"]["type"] == "invalid_request_error"


def test_they_count_as_calls(api: Api):
    """Beyond the calls of a minute, 429 with the time to wait."""
    client = api.openai(max_retries=0)
    with pytest.raises(openai.RateLimitError) as refused:
        for _ in range(60):  # one more is allowed every ten seconds
            client.embeddings.create(model="openai:tour", input="hello", encoding_format="float")
    assert int(refused.value.response.headers["retry-after"]) >= 1
