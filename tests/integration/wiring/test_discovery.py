"""What compatible servers have is found out by asking them."""

from __future__ import annotations

import pytest

from streamchat.settings import load_settings
from streamchat.simulator.server import Server
from streamchat.simulator.wire_chat import ChatWire
from streamchat.wiring.build_models import build_catalog

VARIABLES = (
    "OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL",
    "STREAMCHAT_MODELS", "STREAMCHAT_SERVERS", "STREAMCHAT_LOCAL_GGUF", "STREAMCHAT_FALLBACK_MODEL",
)  # fmt: skip


@pytest.fixture
def catalog(monkeypatch):
    """Builds a catalog from just these variables."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def build(**variables: str):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return build_catalog(load_settings())

    return build


async def test_a_server_lists_its_own_models(catalog):
    """What a compatible server has is offered without being named in the settings; one that is away offers nothing."""
    server = Server("none", (ChatWire(),))
    port = await server.start()
    made = catalog(STREAMCHAT_SERVERS=f"here=http://127.0.0.1:{port}/v1,away=http://127.0.0.1:9/v1")
    try:
        assert await made.discover()
        assert "here:tour" in made.offered
        assert not [name for name in made.offered if name.startswith("away:")]
    finally:
        await made.close()
        await server.close()
