"""A child that a supervisor lends to its workers: one process, whoever asks first, and there again when it died."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from streamchat.errors import ProviderError
from streamchat.processes.shared_subprocess import SharedSubprocess, lending
from streamchat.simulator import Simulator
from tests.unit.providers.asking import hear, question, user

SIMULATOR = ("simulator", "streamchat.simulator")


def listener(url: str) -> int:
    """The process that listens at this address."""
    port = f"{urlsplit(url).port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    (inode,) = (line.split()[9] for line in lines if line.split()[1].endswith(f":{port}") and line.split()[3] == "0A")
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == f"socket:[{inode}]":
                return int(link.parts[2])
        except OSError:
            continue
    raise AssertionError("nobody listens")


def there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_one_child_for_all(tmp_path: Path):
    """Ten workers that ask at once get the same address and key, and the real provider works over it."""
    async with lending(tmp_path / "children"):
        assert stat.S_ISSOCK((tmp_path / "children").stat().st_mode)
        workers = [SharedSubprocess(tmp_path / "children", *SIMULATOR) for _ in range(10)]
        addresses = await asyncio.gather(*(worker.start() for worker in workers))
        assert len(set(addresses)) == 1
        provider = Simulator(child=partial(SharedSubprocess, tmp_path / "children"))
        asked = question(user("kind=numbered n=3 rate=0"), model="tour")
        assert (await hear(provider.stream(asked))).message.text.strip() == "w000001 w000002 w000003"
        await provider.close()
        assert await workers[1].start() == addresses[0]


async def test_a_child_that_died_is_there_again(tmp_path: Path):
    """The next question starts another one."""
    async with lending(tmp_path / "children"):
        worker = SharedSubprocess(tmp_path / "children", *SIMULATOR)
        before = await worker.start()
        os.kill(listener(before.url), signal.SIGKILL)
        async with asyncio.timeout(20):
            while (after := await worker.start()) == before:
                await asyncio.sleep(0.05)
        assert listener(after.url)


async def test_children_end_with_the_lender(tmp_path: Path):
    """And whoever asks then gets a sentence."""
    worker = SharedSubprocess(tmp_path / "children", *SIMULATOR)
    async with lending(tmp_path / "children"):
        pid = listener((await worker.start()).url)
    async with asyncio.timeout(20):
        while there(pid):
            await asyncio.sleep(0.02)
    with pytest.raises(ProviderError, match="simulator cannot be reached") as caught:
        await worker.start()
    assert caught.value.retryable


async def test_why_a_child_cannot_be_had_reaches_the_worker(tmp_path: Path):
    """The sentence, and whether another try makes sense."""
    async with lending(tmp_path / "children"):
        for worker in (SharedSubprocess(tmp_path / "children", "thing", "no.such.module") for _ in range(2)):
            with pytest.raises(ProviderError, match="thing ended before it was ready") as caught:
                await worker.start()
            assert caught.value.retryable


async def test_garbage_is_no_question(tmp_path: Path):
    """It gets no answer, and others still do."""
    async with lending(tmp_path / "children"):
        for garbage in (b"", b"\n", b"[]\n", b"{}\n", b"x" * 200_000 + b"\n"):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "children"))
            writer.write(garbage)
            writer.write_eof()
            async with asyncio.timeout(10):
                try:
                    assert await reader.read() == b""
                except ConnectionResetError:
                    pass
            writer.close()
        assert await SharedSubprocess(tmp_path / "children", *SIMULATOR).start()
