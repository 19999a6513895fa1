"""Readers that stall, dawdle, vanish or come in a flood: they slow nobody, and cost what they may cost."""

from __future__ import annotations

import asyncio
import socket
import time

from streamchat.chat.events import Finished, TextDelta
from streamchat.cli import drop_stalled
from streamchat.web.streaming import streams
from tests.integration.web.conftest import Api, MakeApi

WORD = "word " * 200


def stalled(api: Api, run_id: str) -> socket.socket:
    """A reader that asks and never reads."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", api.port))
    reader.sendall(f"GET /api/runs/{run_id}/events HTTP/1.1\r\nHost: 127.0.0.1:{api.port}\r\n\r\n".encode())
    return reader


async def until(true, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_stalled_reader_slows_nobody_and_holds_one_chunk(api: Api):
    """While one reader never reads, another gets every entry as it is written; the stalled one is sent no more than
    its socket takes; when it reads at last, it gets everything."""
    run_id = await api.start()
    still = stalled(api, run_id)
    await until(lambda: api.world.log.listened(run_id))
    quick = asyncio.create_task(api.events(f"/api/runs/{run_id}/events"))
    began = time.monotonic()
    for n in range(3000):
        api.provider.say(TextDelta(f"{n:05d} {WORD}"))
        if n % 50 == 0:
            await asyncio.sleep(0)
    api.provider.say(Finished())
    events = await quick
    text = b"".join(event.raw for event in events)
    assert text.count(b"word ") == 3000 * 200
    assert time.monotonic() - began < 20
    assert (await api.world.ended(run_id)).status == "finished"
    still.setblocking(False)
    got, loop = bytearray(), asyncio.get_running_loop()
    async with asyncio.timeout(30):
        while b"data: [DONE]" not in got[-100:]:
            got += await loop.sock_recv(still, 1 << 16)
    assert got.count(b"word ") == 3000 * 200
    still.close()


async def test_memory_does_not_grow_with_stalled_readers(api: Api):
    """Thirty readers that never read hold chunks, not copies of the answer."""
    import tracemalloc

    run_id = await api.start()
    readers = [stalled(api, run_id) for _ in range(30)]
    await until(lambda: streams.reads("127.0.0.1") == 30)
    api.provider.say(TextDelta("x"))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for n in range(2000):
        api.provider.say(TextDelta(f"{n} {WORD}"))
        if n % 20 == 0:
            await asyncio.sleep(0.001)
    await until(lambda: api.provider.queue.empty())
    await asyncio.sleep(0.2)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    answer = 2000 * len(WORD)
    assert grown < 4 * answer + 30 * 400_000, f"{grown:,} bytes for an answer of {answer:,}"
    for reader in readers:
        reader.close()
    api.provider.say(Finished())
    await api.world.ended(run_id)


async def test_a_reader_that_takes_nothing_is_dropped(make_api: MakeApi):
    """After a while of taking nothing its connection is ended, and its place is free; a silent run drops nobody."""
    async with make_api(listening=lambda sock: drop_stalled(sock, 1)) as api:
        run_id = await api.start()
        still = stalled(api, run_id)
        await until(lambda: api.world.log.listened(run_id))
        await asyncio.sleep(1.5)
        assert streams.reads("127.0.0.1") == 1
        for n in range(3000):
            api.provider.say(TextDelta(f"{n} {WORD}"))
        await until(lambda: streams.reads("127.0.0.1") == 0)
        api.provider.say(Finished())
        still.close()


async def test_a_client_that_vanishes_is_noticed(api: Api):
    """Its reader ends within moments, in the middle of silence too; the run goes on."""
    run_id = await api.start()
    reader = stalled(api, run_id)
    await until(lambda: api.world.log.listened(run_id))
    reader.close()
    await until(lambda: not api.world.log.listened(run_id))
    await until(lambda: streams.reads("127.0.0.1") == 0)
    api.provider.say(TextDelta("all"), Finished())
    assert (await api.world.ended(run_id)).status == "finished"


async def test_a_flood_of_streams_is_refused(make_api: MakeApi):
    """Above the limit 429 with ``Retry-After``, on streams, plain forms and sockets; a place that is left is free."""
    async with make_api(STREAMCHAT_STREAMS_PER_CLIENT="3") as api:
        run_id = await api.start()
        readers = [stalled(api, run_id) for _ in range(3)]
        await until(lambda: streams.reads("127.0.0.1") == 3)
        for path in (f"/api/runs/{run_id}/events", "/stream?query=x"):
            answer = await api.client.get(path)
            assert answer.status_code == 429
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["error"]["kind"] == "too-many-streams"
        assert len(api.provider.requests) == 1
        readers.pop().close()
        await until(lambda: streams.reads("127.0.0.1") == 2)
        reading = asyncio.create_task(api.client.get(f"/api/runs/{run_id}/events"))
        await until(lambda: streams.reads("127.0.0.1") == 3)
        api.provider.say(Finished())
        assert (await reading).status_code == 200
        for reader in readers:
            reader.close()
        await until(lambda: streams.reads("127.0.0.1") == 0)


async def test_two_speeds_see_the_same(api: Api):
    """A reader that takes its time gets the same bytes as one that does not."""
    run_id = await api.start()
    slow = stalled(api, run_id)
    slow.setblocking(False)
    loop, got = asyncio.get_running_loop(), bytearray()

    async def dawdle() -> None:
        while not got.endswith(b"0\r\n\r\n"):
            got.extend(await loop.sock_recv(slow, 3000))
            await asyncio.sleep(0.001)

    dawdling = asyncio.create_task(dawdle())
    quick = asyncio.create_task(api.client.get(f"/api/runs/{run_id}/events"))
    await until(lambda: streams.reads("127.0.0.1") == 2)
    for n in range(300):
        api.provider.say(TextDelta(f"{n} {WORD}"))
        await asyncio.sleep(0)
    api.provider.say(Finished())
    whole = (await quick).content
    await asyncio.wait_for(dawdling, 30)
    body = bytes(got).partition(b"\r\n\r\n")[2]
    chunks = bytearray()
    while body:
        size, _, body = body.partition(b"\r\n")
        chunks += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    assert bytes(chunks) == whole
    slow.close()
