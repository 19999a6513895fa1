"""A message that is sent again gets the answer that it has, whatever else is being answered by then."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.reader import MODEL, Reader, of, whole
from tests.support.simulated import Simulated
from tests.system.soak import stored
from tests.system.soak.server import Watched


async def test_sent_again_while_the_next_is_answered(serve: Callable[..., Watched], simulated: Simulated):
    """A tab that never heard that its message was accepted comes back when another has asked the next question: it is
    told that it was accepted, and nothing is asked twice."""
    served = serve(**simulated.settings)
    async with Reader(served.url) as reader:
        first, second = f"first {of(5, 0)}", f"second {of(200, 20)}"
        client_id = await reader.ask(first, MODEL)
        await reader.ended()
        async with Reader(served.url, reader.path) as other:
            await other.until(lambda: other.page.opened, 60, "the transcript")
            await other.ask(second, MODEL)
            await other.reached(5)
            reader.page.sent.clear()
            await reader.ask(first, MODEL, client_id)
            await reader.until(
                lambda: client_id in reader.page.sent | set(reader.page.refused), 15, "what became of it"
            )
            assert (client_id in reader.page.sent, reader.page.said) == (True, [])
            third = await other.ask(f"third {of(5, 0)}", MODEL)
            await other.until(lambda: third in other.page.refused, 60, "a sentence")
            await other.call("stop")
            await other.ended("stopped")
    assert [row.text for row in stored.messages(served.database) if row.role == "user"] == [first, second]
    assert [row.text for row in stored.messages(served.database)][1] == whole(5)
    assert len(simulated.requests("first")) == 1
