"""The simulator's HTTP server: ``POST`` to the path of each format, ``GET /v1/models`` and ``GET /_log``.

Knows no format and no scene by name. Rules: every request needs the API key; a client that closes the connection
cancels its response at once; the file system is neither read nor written.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import h11

from streamchat.simulator import embeddings, script, sse_writer
from streamchat.simulator.journal import Journal, Record
from streamchat.simulator.peer import Gone, Peer
from streamchat.simulator.play import Play
from streamchat.simulator.request import BadRequest, pictures_in
from streamchat.simulator.scenes import SCENES
from streamchat.simulator.wire_format import Problem, Reply, Wire
from streamchat.simulator.words import UnknownWord

_CONVERSATION = ("messages", "input", "instructions", "system", "tools")


class Server:
    """One HTTP server on loopback."""

    def __init__(self, api_key: str, wires: Sequence[Wire]) -> None:
        """Set up without listening. Errors on paths of no wire have the format of the first wire."""
        self._key = api_key
        self._wires = {wire.path: wire for wire in wires}
        self._default = wires[0]
        self._journal = Journal()
        self._salt = secrets.token_hex(8)
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
            while True:
                request, body = await peer.request()
                await self._answer(peer, request, body)
                if not peer.next():
                    break
        except (Gone, asyncio.CancelledError):
            pass  # the server is closing, or the client is gone
        finally:
            self._tasks.discard(task)
            with suppress(asyncio.CancelledError):
                await peer.close()

    async def _answer(self, peer: Peer, request: h11.Request, body: bytes) -> None:
        started = time.monotonic()
        url = urlsplit(request.target.decode("latin-1"))
        wire = self._wires.get(url.path, self._default)
        key = _api_key(request)
        if not hmac.compare_digest(key.encode(), self._key.encode()):
            return await peer.reply(wire.problem(Problem("bad-key", key=key)))
        if request.method == b"GET" and (content := self._get(url.path, url.query)) is not None:
            return await peer.reply(Reply(200, content))
        if request.method == b"POST" and url.path == embeddings.PATH:
            return await peer.reply(self._embeddings(body))
        if request.method != b"POST" or url.path not in self._wires:
            text = f"{request.method.decode('latin-1')} {url.path}"
            return await peer.reply(self._default.problem(Problem("bad-path", text)))
        try:
            play = self._play(peer, wire, body, key, started)
        except (BadRequest, UnknownWord) as error:
            return await peer.reply(wire.problem(Problem("bad-request", str(error))))
        except KeyError as error:
            return await peer.reply(wire.problem(Problem("not-found", str(error.args[0]))))
        await _until_closed(peer, play.run(), play.record)

    def _embeddings(self, body: bytes) -> Reply:
        try:
            payload = _object(body)
            if payload.get("model") not in SCENES:
                return self._default.problem(Problem("not-found", str(payload.get("model"))))
            return Reply(200, sse_writer.dump(embeddings.response(payload)))
        except BadRequest as error:
            return self._default.problem(Problem("bad-request", str(error)))

    def _play(self, peer: Peer, wire: Wire, body: bytes, key: str, started: float) -> Play:
        payload = _object(body)
        ask = wire.parse(payload)
        if ask.scene not in SCENES:
            raise KeyError(ask.scene)
        counter = script.counter_key(ask)
        record = self._journal.open(counter, wire.name, ask.message, ask.stream)
        record.asked = {name: value for name, value in payload.items() if name not in _CONVERSATION}
        record.pictures = pictures_in(payload)
        try:
            plan = script.plan(ask, record.attempt, f"{self._salt}/{record.id}")
        except UnknownWord:
            record.status = 400
            record.closed("server")
            raise
        return Play(peer, wire, ask, plan, record, key, started)

    def _get(self, path: str, query: str) -> bytes | None:
        if path == "/v1/models":
            models = [
                {"id": name, "object": "model", "created": 1_735_689_600, "owned_by": "streamchat", "type": "model",
                 "display_name": scene.label, "created_at": "2025-01-01T00:00:00Z"}
                for name, scene in SCENES.items()
            ]  # fmt: skip
            ends = {"first_id": models[0]["id"], "last_id": models[-1]["id"]}
            return sse_writer.dump({"object": "list", "data": models, "has_more": False, **ends})
        if path == "/_log":
            parameters = {name: int(values[0]) for name, values in parse_qs(query).items() if values[0].isdigit()}
            return sse_writer.dump(self._journal.to_json(parameters.get("after", 0), parameters.get("limit", 50)))
        return None


def _object(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("We could not parse the JSON body of your request.") from None
    if not isinstance(payload, dict):
        raise BadRequest("The body must be a JSON object.")
    return payload


async def _until_closed(peer: Peer, playing: Coroutine[None, None, None], record: Record) -> None:
    """Play to the end, or cancel the playback as soon as the client closes. Raises ``Gone`` in that case."""
    play = asyncio.ensure_future(playing)
    watch = asyncio.ensure_future(peer.closed())
    try:
        await asyncio.wait((play, watch), return_when=asyncio.FIRST_COMPLETED)
        if not play.done():
            record.closed("client")
            raise Gone
        await play
        record.closed("server")
    except Gone:
        record.closed("client")
        raise
    finally:
        for task in (play, watch):
            task.cancel()
        await asyncio.gather(play, watch, return_exceptions=True)


def _api_key(request: h11.Request) -> str:
    headers = dict(request.headers)
    bearer = headers.get(b"authorization", b"").decode("latin-1")
    return headers.get(b"x-api-key", b"").decode("latin-1") or bearer.removeprefix("Bearer ").strip()
