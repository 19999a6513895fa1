"""An SDK's client is made when it is first needed, and once."""

from __future__ import annotations

import asyncio
import threading

from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.providers.openai.chat import OpenAIChat
from streamchat.providers.sdk_client import SdkClient


class Client:
    """Stands for an SDK's."""

    closed = False

    async def close(self) -> None:
        self.closed = True


async def test_it_is_made_once_and_the_loop_goes_on_meanwhile():
    """Several who need it at the same time get the same one; nobody else waits for the import."""
    made: list[Client] = []
    goes_on = threading.Event()

    def build() -> Client:
        assert goes_on.wait(10), "the event loop waits for the import"
        made.append(Client())
        return made[-1]

    client = SdkClient(build)
    waiting = [asyncio.create_task(client.get()) for _ in range(3)]
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(goes_on.set)
    assert set(await asyncio.gather(*waiting)) == set(made)
    assert len(made) == 1
    await client.close()
    assert made[0].closed


async def test_what_was_never_needed_is_not_made_to_be_closed():
    """A program that ends without an answer imports no SDK for that."""
    await SdkClient(lambda: 1 / 0).close()  # pyrefly: ignore[bad-specialization, division-by-zero]


async def test_the_model_that_answers_by_default_is_warmed_up():
    """Not the first provider that would take any name."""
    started: list[str] = []

    async def start(name: str) -> None:
        started.append(name)

    provider = OpenAIChat()
    sources = [
        Source("any", provider, open_ended=True, unavailable="no key", start=lambda: start("any")),
        Source("this", provider, [ModelInfo("this:one", "one")], start=lambda: start("this")),
    ]
    await Catalog(sources).warm_up()
    assert started == ["this"]
