"""``python -m streamchat.simulator FILE …``: raw recordings, played over loopback to whoever asks.

Knows no format: bytes are sent as a provider sent them, with their times. Rules:

* The first request gets the first file, and so on; the last file is played again and again. So the rounds of an
  answer with tool calls are played by its files in order. What is asked plays no part, but it is a POST.
* A body that was cut off is cut off at the same place.
* It listens on loopback, and needs no key.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from streamchat.errors import InvalidInput
from streamchat.providers.raw_recording import FORMAT
from streamchat.simulator.peer import Gone, Peer
from streamchat.simulator.wire_format import Reply

_LONGEST_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class RawRecording:
    """A response. ``chunks``: seconds from the request, and bytes. ``complete``: whether the body had its end."""

    path: str
    status: int
    content_type: str
    chunks: tuple[tuple[float, bytes], ...]
    complete: bool


def read_recording(path: Path) -> RawRecording:
    """Read a file of ``STREAMCHAT_RECORD``. Raises ``InvalidInput`` with the reason."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise KeyError
        chunks = tuple((_seconds_of(chunk), _bytes_of(chunk)) for chunk in data["chunks"])
        complete = data["ending"] == "complete" and not data["truncated"]
        return RawRecording(str(data["path"]), int(data["status"]), str(data["content_type"]), chunks, complete)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or 'unknown error'}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidInput(f"{path} is not a raw recording.") from None


def _seconds_of(chunk: dict[str, float]) -> float:
    return min(max(float(chunk["at_ms"]) / 1000, 0.0), _LONGEST_SECONDS)


def _bytes_of(chunk: dict[str, str]) -> bytes:
    return base64.b64decode(chunk["base64"]) if "base64" in chunk else chunk["text"].encode()


class Player:
    """One HTTP server on loopback. ``speed``: how much faster than recorded; 0: at once."""

    def __init__(self, recordings: Sequence[RawRecording], speed: float = 1.0) -> None:
        if not recordings:
            raise ValueError("there is nothing to play")
        self._recordings = list(recordings)
        self._speed = speed
        self._asked = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        """Listen on loopback and return the port. ``port`` 0: any free one."""
        self._server = await asyncio.start_server(self._client, "127.0.0.1", port, limit=1 << 18)
        return self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and cancel all responses."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        peer = Peer(reader, writer)
        try:
            request, _ = await peer.request()
            if request.method == b"POST":
                await self._play(peer, self._next(), time.monotonic())
            else:  # for a list of models, say
                await peer.reply(Reply(404, b"{}", headers={"connection": "close"}))
        except (Gone, asyncio.CancelledError):
            pass  # the server is closing, or the client is gone
        finally:
            self._tasks.discard(task)
            with suppress(asyncio.CancelledError):
                await peer.close()

    def _next(self) -> RawRecording:
        recording = self._recordings[min(self._asked, len(self._recordings) - 1)]
        self._asked += 1
        return recording

    async def _play(self, peer: Peer, recording: RawRecording, started: float) -> None:
        headers = {"content-type": recording.content_type, "connection": "close"}
        first = True
        for at, chunk in recording.chunks:
            delay = started + at / self._speed - time.monotonic() if self._speed else 0.0
            if delay > 0:
                await asyncio.sleep(delay)
            if first:
                await peer.head(recording.status, headers)
                first = False
            await peer.send((chunk,))
        if first:
            await peer.head(recording.status, headers)
        if recording.complete:
            await peer.end()
