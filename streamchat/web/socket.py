"""``/api/runs/{run_id}/ws``: follow a run, stop it and decide about its calls over one WebSocket.

What the server says is JSON with a ``type``; what has a ``seq`` is of the log, and the same as over Server-Sent Events.
Rules:

* One message per entry, sent when the socket has taken the one before. Commands are carried out one by one.
* Every command is answered: ``ok`` or ``problem``, with the ``id`` that it came with, also when it ends the run.
* After the ending comes ``done``, and the server closes. What cannot be read ends in a ``problem`` and a close code of
  4000 and the HTTP status.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import Annotated, Literal

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from starlette.websockets import WebSocketDisconnect

from streamchat.errors import StreamchatError
from streamchat.runs.log import Entry, Snapshot
from streamchat.web.encoding import frame_entry, json_bytes, shelf, snapshot_json
from streamchat.web.problems import BadRequest, status_of
from streamchat.web.reading import Reader, ending_of, look
from streamchat.web.runs import position
from streamchat.web.shapes import Deciding
from streamchat.web.streaming import client_of, streams
from streamchat.wiring import LOCAL_OWNER, Services, services

router = APIRouter()
MAX_COMMAND = 1_000_000
BEAT = '{"type":"ping"}'
PONG = '{"type":"pong"}'
DONE = '{"type":"done"}'


class _Command(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: Annotated[str, StringConstraints(max_length=100)] | int | None = None


class Ping(_Command):
    type: Literal["ping"]


class Stop(_Command):
    type: Literal["stop"]


class Decide(_Command, Deciding):
    type: Literal["decide"]


COMMANDS: TypeAdapter[Ping | Stop | Decide] = TypeAdapter(Annotated[Ping | Stop | Decide, Field(discriminator="type")])


@router.websocket("/api/runs/{run_id}/ws")
async def follow(websocket: WebSocket, run_id: str, after: str | None = None) -> None:
    """See the module."""
    served = services()
    await websocket.accept()
    client = client_of(websocket.scope)
    try:
        streams.enter(client, served.settings.streams_per_client)
    except StreamchatError as error:
        await _refuse(websocket, error)
        return
    try:
        begins = position(after)
        await look(served.runs, LOCAL_OWNER, run_id)
        await _Socket(websocket, served, run_id, begins).serve()
    except StreamchatError as error:
        await _refuse(websocket, error)
    finally:
        streams.leave(client)


async def _refuse(websocket: WebSocket, error: StreamchatError) -> None:
    with suppress(WebSocketDisconnect):
        await _say(websocket, _problem(error, None))
        await websocket.close(4000 + status_of(error))


async def _say(websocket: WebSocket, text: str) -> None:
    await websocket.send({"type": "websocket.send", "text": text})


def _problem(error: StreamchatError, command_id: str | int | None) -> str:
    told = {"type": "problem", "id": command_id, "error": {"message": error.user_message, "kind": error.kind}}
    return json_bytes(told).decode()


class _Socket:
    """One connection to one run."""

    def __init__(self, websocket: WebSocket, served: Services, run_id: str, after: int) -> None:
        self._websocket = websocket
        self._runs = served.runs
        self._run_id = run_id
        self._reader = Reader(served.runs, LOCAL_OWNER, run_id, after)
        self._working = asyncio.Lock()

    async def serve(self) -> None:
        """Until the answer has ended, or the client is gone."""
        commands = asyncio.create_task(self._commands())
        try:
            await self._follow()
        except WebSocketDisconnect:
            pass
        finally:
            commands.cancel()
            await asyncio.gather(commands, return_exceptions=True)

    async def _follow(self) -> None:
        keep = shelf(self._run_id, frame_entry)
        websocket = self._websocket
        async with aclosing(self._reader.batches()) as batches:
            async for batch in batches:
                if batch is None:
                    await _say(websocket, BEAT)
                elif isinstance(batch, Snapshot):
                    await _say(websocket, snapshot_json(batch).decode())
                    if batch.message.ended:
                        await _say(websocket, frame_entry(Entry(batch.seq, ending_of(batch.message))))
                else:
                    for entry in batch:
                        await _say(websocket, keep(entry))
        async with self._working:  # the answer to the command that ended it goes first
            pass
        if not self._reader.closed:
            await _say(websocket, DONE)
            await websocket.close()

    async def _commands(self) -> None:
        try:
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                async with self._working:
                    await _say(self._websocket, await self._carry_out(message.get("text")))
        except WebSocketDisconnect:
            pass
        finally:
            self._reader.close()

    async def _carry_out(self, text: str | None) -> str:
        command_id = None
        try:
            command = _read(text)
            command_id = command.id
            match command:
                case Ping():
                    return PONG
                case Stop():
                    await self._runs.cancel(LOCAL_OWNER, self._run_id)
                case Decide():
                    await self._runs.decide(LOCAL_OWNER, self._run_id, command.call_id, command.decision())
        except StreamchatError as error:
            return _problem(error, command_id)
        return json_bytes({"type": "ok", "id": command_id}).decode()


def _read(text: str | None) -> Ping | Stop | Decide:
    """Raises ``BadRequest``."""
    if text is None or len(text) > MAX_COMMAND:
        raise BadRequest("A command is a text message of at most a million characters.")
    try:
        return COMMANDS.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(place) for place in first["loc"])
        raise BadRequest(f"This is no command: {where + ': ' if where else ''}{first['msg']}.") from None
