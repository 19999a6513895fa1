"""The API in the backend of somebody's own app: below its prefix, for the pages of that app only."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import websockets

from streamchat.chat.events import Finished, TextDelta
from streamchat.providers.python.definition import model
from streamchat.reflex import PREFIX, _Mounted
from streamchat.settings import Settings
from streamchat.tools import tool
from streamchat.wiring import ServiceHolder
from streamchat.wiring.user_modules import UserModules
from tests.integration.web.conftest import PAGE, Api, MakeApi, serving

FOREIGN = {"Origin": "https://evil.example"}


@dataclass
class Embedded:
    """``client`` calls the app, whose backend has the API of ``api``."""

    api: Api
    client: httpx.AsyncClient
    port: int


@pytest.fixture
async def app(make_api: MakeApi) -> AsyncIterator[Embedded]:
    async with make_api(STREAMCHAT_CORS_ORIGINS="http://app.example") as api:
        holder = ServiceHolder(api.services)
        with socket.socket(proto=socket.IPPROTO_TCP) as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
            client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False, verify=False)
            async with client, serving(_Mounted(PAGE, holder), sock):
                yield Embedded(api, client, port)


async def test_the_api_is_below_its_prefix_and_the_app_everywhere_else(app: Embedded):
    """A whole answer below it; the app's own paths, also those that are ours elsewhere, are the app's."""
    started = await app.client.post(f"{PREFIX}/api/runs", json={"message": "hi"})
    assert started.status_code == 201
    app.api.provider.say(TextDelta("hello"), Finished())
    run_id = started.json()["run_id"]
    await app.api.world.ended(run_id)
    events = await app.client.get(f"{PREFIX}/api/runs/{run_id}/events")
    assert '"text":"hello"' in events.text
    for path in ("/api/runs", "/status", "/streamchat", "/"):
        assert (await app.client.get(path)).text == "page"
    missing = await app.client.get(f"{PREFIX}/nothing")
    assert (missing.status_code, missing.json()["error"]["kind"]) == (404, "not-found")


async def test_pages_of_other_sites_read_nothing(app: Embedded):
    """Reflex allows every origin by default: a foreign page is refused, not only denied the headers."""
    for path in ("/api/conversations", "/v1/models", "/api/openapi.json"):
        refused = await app.client.get(PREFIX + path, headers=FOREIGN)
        assert (refused.status_code, refused.json()["error"]["kind"]) == (403, "foreign-origin")
        own = {"Origin": f"http://127.0.0.1:{app.port}"}
        for headers in (own, {"Origin": "http://app.example"}, {}):
            assert (await app.client.get(PREFIX + path, headers=headers)).status_code == 200
    with pytest.raises(websockets.InvalidStatus):
        address = f"ws://127.0.0.1:{app.port}{PREFIX}/api/runs/none/ws"
        await websockets.connect(address, origin=websockets.Origin("https://evil.example"))


async def test_any_page_may_load_the_element(app: Embedded):
    """The scripts are the same for everybody; nothing else beside them is served."""
    for name in ("stream-chat.js", "streamchat-client.js"):
        script = await app.client.get(f"{PREFIX}/{name}", headers=FOREIGN)
        assert script.headers["content-type"].startswith("text/javascript")
        assert script.headers["access-control-allow-origin"] == "*"
    for path in ("/use-run.js", "/stream-chat.js/"):
        assert (await app.client.get(PREFIX + path)).status_code == 404


async def test_models_and_tools_of_the_app_are_offered(tmp_path):
    """What the app passes is there beside what the settings name."""

    @model
    async def mine(request):
        yield "x"

    @tool
    def yours() -> str:
        """Nothing."""
        return ""

    settings = Settings.model_validate({"STREAMCHAT_DATA_DIR": str(tmp_path)})
    holder = ServiceHolder(settings=lambda: settings, modules=UserModules((yours,), (mine,)))
    async with holder.lifespan():
        services = holder.services
        assert "python:mine" in services.models.offered
        assert services.tools.get("yours") is not None
