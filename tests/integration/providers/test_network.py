"""The sockets under the SDKs' client: what they keep, what they refuse, and that they are in use at all."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpcore2
import httpx2
import pytest

from streamchat.providers.asyncio_backend import HIGH_WATER, MAX_REST, Backend, Stream, _Pipe, use_backend
from streamchat.providers.http_client import http_client
from tests.integration.providers.replay import Reply, replay
from tests.unit.providers import wire
from tests.unit.providers.asking import ask, provider_at

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def served(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def connected(port: int) -> Stream:
    return await Backend().connect_tcp("127.0.0.1", port, timeout=5)


async def test_the_sdks_use_it() -> None:
    """The clients that the adapters are given have it: an update of the client that takes it away shows here."""
    client = http_client(1.0)
    assert isinstance(client._transport._pool._network_backend, Backend)  # pyrefly: ignore[missing-attribute]
    await client.aclose()
    for kind in ("chat", "anthropic"):
        provider: Any = provider_at(kind, "http://127.0.0.1:9")
        assert isinstance((await provider._client.get())._client._transport._pool._network_backend, Backend)
        await provider.close()


async def test_without_its_hook_the_client_works_as_before() -> None:
    """Where there is nothing to replace, nothing is replaced."""
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: httpx2.Response(204))) as client:
        assert not use_backend(client)
        assert (await client.get("http://a")).status_code == 204


async def test_reading() -> None:
    """Pieces come in order, never more than asked for, then the end again and again."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))

    async with served(handler) as port:
        stream = await connected(port)
        await stream.write(b"abcd")
        assert await stream.read(3) == b"abc"
        assert await stream.read(3) == b"d"
        assert await stream.read(3) == b""
        assert await stream.read(3, timeout=1) == b""
        assert stream.get_extra_info("is_readable") is True
        await stream.aclose()
        with pytest.raises(httpcore2.WriteError):
            await stream.write(b"x")


async def test_a_reader_that_does_not_read_holds_little() -> None:
    """A sender that is faster than its reader is slowed down, not kept in memory."""
    sent = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for _ in range(2000):
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with served(handler) as port:
        stream = await connected(port)
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.2)
        assert stream._pipe.buffered_bytes < 2 * HIGH_WATER
        assert sent < 60_000_000
        got = 0
        while data := await stream.read(65536, timeout=20):
            got += len(data)
        assert got == 2000 * 65536
        await stream.aclose()


async def test_silence_has_a_limit_where_one_is_set() -> None:
    """The interface's own time-outs are kept."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served(handler) as port:
        stream = await connected(port)
        with pytest.raises(httpcore2.ReadTimeout):
            await stream.read(1, timeout=0.05)
        assert stream.get_extra_info("is_readable") is False
        await stream.aclose()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    await writer.drain()
    await reader.read()


class Transport:
    """Notes whether reading is paused."""

    reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def test_a_connection_rests_only_if_readers_are_late_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pause of the event loop changes nothing; in a crowded one each read is followed by a rest, which ends."""
    now = 0.0  # by the loop's clock: that of a busy machine makes each reader late
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    pipe: Any = _Pipe()
    pipe.transport = Transport()

    async def read(late: float) -> bool:
        nonlocal now
        reading = asyncio.create_task(pipe.read(100))
        await asyncio.sleep(0)
        pipe.data_received(b"x")
        rested = not pipe.transport.reading
        now += late
        assert await reading == b"x"
        return rested

    assert not any([await read(late) for late in (0, 0, 0.05, 0, 0, 0, 0)])
    assert [await read(0.05) for _ in range(4)][-1]
    now += MAX_REST
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert pipe.transport.reading
    [await read(0.05) for _ in range(2)]
    assert not pipe.transport.reading
    pipe.end_rest()  # with the next request
    assert pipe.transport.reading
    [await read(0) for _ in range(5)]
    pipe.end_rest()
    assert not await read(0)


async def test_a_crowded_event_loop_reads_seldom_and_loses_nothing() -> None:
    """What comes meanwhile waits in the socket: the same bytes in fewer reads, and the end of the connection."""
    pieces = [b"%04d" % number for number in range(100)]

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.002)

    async def crowd() -> None:
        while True:
            time.sleep(0.01)  # noqa: ASYNC251 the work of others
            await asyncio.sleep(0)

    async with served(handler) as port:
        stream = await connected(port)
        others = asyncio.create_task(crowd())
        reads = []
        async with asyncio.timeout(20):
            while data := await stream.read(65536):
                reads.append(data)
        others.cancel()
        await stream.aclose()
    assert b"".join(reads) == b"".join(pieces)
    assert len(reads) < len(pieces) / 2


async def test_tls(certificate: Path) -> None:
    """TLS works, also twice over one connection."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"h" * 200_000)
            await writer.drain()

    async with served(handler, tls) as port:
        trusted = ssl.create_default_context(cafile=f"{certificate}.crt")
        async with httpx2.AsyncClient(verify=trusted, timeout=20) as client:
            assert use_backend(client)
            for _ in range(2):
                assert (await client.get(f"https://127.0.0.1:{port}/")).text == "h" * 200_000


async def test_a_certificate_that_nobody_trusts(certificate: Path) -> None:
    """It is refused like an address that nobody answers."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with served(_answer, tls) as port:
        heard = await ask("chat", f"https://127.0.0.1:{port}")
    assert heard.error is not None
    assert heard.error.kind == "connect"


async def test_closing_over_tls_is_at_once(certificate: Path) -> None:
    """No goodbye is waited for."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    gone = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer(reader, writer)
        finally:
            gone.set()

    async with served(handler, tls) as port:
        trusted = ssl.create_default_context(cafile=f"{certificate}.crt")
        stream = await (await connected(port)).start_tls(trusted, "127.0.0.1", timeout=5)
        await stream.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await stream.read(65536)).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(15):
            await stream.aclose()
            await gone.wait()


async def test_two_answers_over_one_connection() -> None:
    """A connection whose answer was read to its end is used again; one that was closed meanwhile is not."""
    ports = set()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ports.add(writer.get_extra_info("peername")[1])
        for _ in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            body = wire.whole("chat", "hi")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()

    from tests.unit.providers.asking import hear, question

    async with served(handler) as port:
        provider = provider_at("chat", f"http://127.0.0.1:{port}")
        for _ in range(3):
            heard = await hear(provider.stream(question()))
            assert (heard.text, heard.error) == ("hi", None)
        await provider.close()
    assert len(ports) >= 2


async def test_many_at_once() -> None:
    """Fifty answers at the same time do not mix."""
    async with replay(*[Reply(wire.whole("chat", f"answer {i}"), between=0.01) for i in range(50)]) as server:
        heard = await asyncio.gather(*[ask("chat", server.url) for _ in range(50)])
    assert {one.text for one in heard} == {f"answer {i}" for i in range(50)}
