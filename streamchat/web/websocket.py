"""``/api/runs/{run_id}/ws``: follow a run, stop or steer it, decide about its tool calls, and queue what is next.

Messages of the server are JSON with a ``type``; those with a ``seq`` are log entries, as in Server-Sent Events. Rules:

* One message per entry, sent when the socket has taken the previous one. Commands are executed one by one.
* Every command gets a response, ``ok`` or ``problem``, with the ``id`` of the command, even if it ends the run.
* After the ending comes ``done``, and the server closes. A run that cannot be followed is a ``problem`` and the close
  code 4000 plus the HTTP status.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from starlette.websockets import WebSocketDisconnect

from streamchat.errors import InvalidInput, StreamchatError
from streamchat.identity import CHAT, READ
from streamchat.protocols.encoding import WebSocketEncoder, json_bytes
from streamchat.protocols.http_status import status_of
from streamchat.runs.ports import Begun
from streamchat.runs.reader import RunReader, encode
from streamchat.web.dependencies import context_of
from streamchat.web.error_responses import BadRequest
from streamchat.web.run_routes import position, started_json
from streamchat.web.schemas import Deciding, MessageIn, SteerIn
from streamchat.web.streaming import streams
from streamchat.wiring.request_context import RequestContext

router = APIRouter()
MAX_COMMAND = 1_000_000
PONG = '{"type":"pong"}'
DONE = '{"type":"done"}'


class _Command(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: Annotated[str, StringConstraints(max_length=100)] | int | None = None


class Ping(_Command):
    """Ask for a sign of life."""

    type: Literal["ping"]


class Stop(_Command):
    """Stop the run."""

    type: Literal["stop"]


class Decide(_Command, Deciding):
    """Decide about a tool call."""

    type: Literal["decide"]


class Steer(_Command, SteerIn):
    """Stop the run, or let it end at its next round of tools, and answer this message next."""

    type: Literal["steer"]


class Queue(_Command, MessageIn):
    """Answer this message once the answers before it have ended."""

    type: Literal["queue"]


Command: TypeAlias = Ping | Stop | Decide | Steer | Queue
COMMANDS: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])


@router.websocket("/api/runs/{run_id}/ws")
async def follow(websocket: WebSocket, run_id: str, after: str | None = None) -> None:
    """Serve one connection; the module's docstring describes the protocol."""
    await websocket.accept()
    try:
        context = await context_of(websocket)
        context.identity.require(READ)
        with streams.take(context):
            start_after = position(after)
            await context.runs.conversation_of(context.owner, run_id)
            await _Connection(websocket, context, run_id, start_after).serve()
    except StreamchatError as error:
        await refuse(websocket, error)


async def refuse(websocket: WebSocket, error: StreamchatError) -> None:
    """Send the error, and close with 4000 plus the HTTP status."""
    with suppress(WebSocketDisconnect):
        await send_text(websocket, _problem(error, None))
        await websocket.close(4000 + status_of(error))


async def send_text(websocket: WebSocket, text: str) -> None:
    """Send one message. Raises ``WebSocketDisconnect`` once the client has gone."""
    await websocket.send({"type": "websocket.send", "text": text})


def _problem(error: StreamchatError, command_id: str | int | None) -> str:
    details: dict[str, Any] = {"message": error.user_message, "kind": error.kind}
    if (retry_after := getattr(error, "retry_after", None)) is not None:
        details["retry_after"] = max(1, round(retry_after))
    return json_bytes({"type": "problem", "id": command_id, "error": details}).decode()


class _Connection:
    """One connection to one run."""

    def __init__(self, websocket: WebSocket, context: RequestContext, run_id: str, after: int) -> None:
        self._websocket = websocket
        self._context = context
        self._runs = context.runs
        self._owner = context.owner
        self._identity = context.identity
        self._run_id = run_id
        self._reader = RunReader(context.runs, context.owner, run_id, after)
        self._executing = asyncio.Lock()

    async def serve(self) -> None:
        """Send and receive until the answer has ended or the client disconnects."""
        commands = asyncio.create_task(self._commands())
        try:
            await self._follow()
        except WebSocketDisconnect:
            pass
        finally:
            commands.cancel()
            await asyncio.gather(commands, return_exceptions=True)

    async def _follow(self) -> None:
        async with aclosing(encode(self._reader, WebSocketEncoder(self._run_id))) as batches:
            async for messages in batches:
                for text in messages:
                    await send_text(self._websocket, text)
        async with self._executing:  # the response to the command that ended the run goes first
            pass
        if not self._reader.closed:
            await send_text(self._websocket, DONE)
            await self._websocket.close()

    async def _commands(self) -> None:
        try:
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                async with self._executing:
                    await send_text(self._websocket, await self._execute(message.get("text")))
        except WebSocketDisconnect:
            pass
        finally:
            self._reader.close()

    async def _execute(self, text: str | None) -> str:
        command_id, more = None, {}
        try:
            command = _parse(text)
            command_id = command.id
            if not isinstance(command, Ping):
                self._identity.require(CHAT)
            match command:
                case Ping():
                    return PONG
                case Stop():
                    await self._runs.cancel(self._owner, self._run_id)
                case Decide():
                    await self._runs.decide(self._owner, self._run_id, command.call_id, command.decision())
                case Steer():
                    more = await self._steer(command)
                case Queue():
                    more = await self._queue(command)
        except StreamchatError as error:
            return _problem(error, command_id)
        return json_bytes({"type": "ok", "id": command_id, **more}).decode()

    async def _steer(self, command: Steer) -> dict[str, Any]:
        """Return the ids of the answer that follows."""
        conversation_id = await self._runs.conversation_of(self._owner, self._run_id)
        new = command.message_in().run_in(conversation_id).new_run((await self._context.models()).default)
        return self._started(await self._context.steer(self._run_id, new, at_round=command.at == "round"))

    async def _queue(self, command: Queue) -> dict[str, Any]:
        """Return the ids of the answer that will follow."""
        if command.models:
            raise InvalidInput("models: a message in the queue is answered by one model.")
        conversation_id = await self._runs.conversation_of(self._owner, self._run_id)
        new = command.run_in(conversation_id).new_run((await self._context.models()).default)
        return self._started(await self._context.start(replace(new, queued=True)))

    def _started(self, started: Begun) -> dict[str, Any]:
        return started_json(self._context, started) | {"conversation_id": started.conversation_id}


def _parse(text: str | None) -> Command:
    """Parse a command. Raises ``BadRequest``."""
    if text is None or len(text) > MAX_COMMAND:
        raise BadRequest(f"A command must be a text message of at most {MAX_COMMAND:,} characters.")
    try:
        return COMMANDS.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        location = ".".join(str(item) for item in first["loc"])
        raise BadRequest(f"Invalid command: {location + ': ' if location else ''}{first['msg']}.") from None
