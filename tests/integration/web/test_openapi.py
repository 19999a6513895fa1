"""The OpenAPI is what the server does: generated requests, good and bad, meet no surprise."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from streamchat.chat.events import Event, Finished, TextDelta
from streamchat.chat.request import Request
from streamchat.chat.wire import EVENT_TYPES
from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.settings import Settings
from streamchat.web.app import build_api, guard, mount
from streamchat.web.event_schema import event_schemas
from streamchat.wiring import ServiceHolder, Services
from tests.integration.runs.conftest import make_world
from tests.integration.web.conftest import PAGE, Api, serving
from tests.integration.web.test_events import SAID
from tests.support.long import LONG
from tests.support.loop import LoopThread
from tests.support.openapi import SPEC

# Of each call; `make soak` looks longer.
EXAMPLES = 200 if LONG else 3
# What it says of a conversation that is there comes for a minute: ``test_conversation_events.py`` reads it.
ENDLESS = "/api/conversations/{conversation_id}/events"
# As told by the OpenAPI; the vendors' shapes are told by the vendors.
TRUE = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
)
OPERATIONS = [
    (method, path)
    for path, item in SPEC["paths"].items()
    for method in item
    if path != "/api/status/idle"  # it is there to take its time
]


class Quick:
    """A provider that answers at once."""

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        yield TextDelta("yes")
        yield Finished()

    async def close(self) -> None: ...


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server in a thread of its own."""
    thread, stack = LoopThread(), AsyncExitStack()
    folder: Path = tmp_path_factory.mktemp("openapi")
    sock = socket.socket(proto=socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]

    async def start() -> None:
        catalog = Catalog([Source("fake", Quick(), [ModelInfo("fake:one", "Fake")])])
        world = await stack.enter_async_context(make_world(folder, catalog=catalog))
        given_ = {"PORT": str(port), "STREAMCHAT_DATA_DIR": str(folder)}
        holder = ServiceHolder(Services(Settings.model_validate(given_), catalog, world.store, world.runs))
        await stack.enter_async_context(serving(guard(mount(PAGE, holder), holder), sock))

    thread.run(start(), 30)
    yield f"http://127.0.0.1:{port}"
    thread.run(stack.aclose(), 30)
    thread.close()
    sock.close()


@pytest.fixture(scope="module")
def ids(url: str) -> dict[str, str]:
    """Ids that are there."""
    return httpx.post(f"{url}/api/runs", json={"message": "hello"}, trust_env=False).json()


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda value: value)
def test_every_call_answers_as_the_openapi_says(url: str, ids: dict[str, str], method: str, path: str):
    """Whatever is sent: no 500, and a status, a type and a body that the description has."""
    operation = schemathesis.openapi.from_dict(SPEC)[path][method]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.large_base_example],
        derandomize=True,
        database=None,
    )
    @given(case=operation.as_strategy(), real=st.booleans())
    def check(case: Any, real: bool) -> None:
        if real and path != ENDLESS:
            for name in case.path_parameters:
                case.path_parameters[name] = ids.get(name, "x")
        response = case.call(base_url=url, timeout=60)
        if path.startswith(("/v1", "/api/chat", "/ag-ui")):
            assert response.status_code < 500, response.text
        else:
            case.validate_response(response, checks=list(TRUE))

    check()


def test_the_description_is_served_and_complete():
    """Every path has a summary, answers, and error bodies in one shape; no page that loads foreign scripts is there."""
    for method, path in OPERATIONS:
        told = SPEC["paths"][path][method]
        assert told["responses"], path
        assert told.get("description"), f"{method} {path}"
    assert not {getattr(route, "path", "") for route in build_api(ServiceHolder()).routes} & {"/docs", "/redoc"}


async def test_the_description_is_at_its_address(api: Api):
    """As JSON, for everybody who may read the API."""
    answer = await api.client.get("/api/openapi.json")
    assert set(answer.json()["paths"]) >= {"/api/runs", "/api/runs/{run_id}/events", "/stream", "/api/search"}


async def test_every_event_is_as_described(api: Api):
    """Each kind of event, as it was sent, fits its description and no other; there is none without one."""
    schemas = {name: schema | {"components": SPEC["components"]} for name, schema in event_schemas().items()}
    assert set(schemas) == {*EVENT_TYPES, "snapshot"}
    run_id = await api.said(*SAID)
    for path in (f"/api/runs/{run_id}/events", f"/api/runs/{run_id}/events?after=99"):
        for event in (await api.events(path))[:-1]:
            fits = [name for name, schema in schemas.items() if jsonschema_rs.is_valid(schema, json.loads(event.data))]
            assert fits == [event.event]
