"""The server of the protocols' tests, for clients from npm."""

from tests.integration.protocols.conftest import api, simulated, tools

__all__ = ["api", "simulated", "tools"]
