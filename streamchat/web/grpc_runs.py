"""The service ``streamchat.v1.Runs``: start, follow, look, stop and decide over gRPC.

Knows the messages and the calls, not the port. Rules:

* A refusal is the sentence and the status of the error; what nobody foresaw is logged, and says nothing of itself.
* A reader that goes away ends its stream, never the run. One that is slow is waited for: nothing is queued for it.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import grpc
from grpc.aio import ServicerContext
from pydantic import ValidationError

from streamchat.errors import InvalidInput, StreamchatError
from streamchat.runs.decisions import Decision
from streamchat.runs.log import Entry, Snapshot
from streamchat.v1 import runs_pb2 as pb
from streamchat.web import encoding
from streamchat.web import grpc_encoding as as_pb
from streamchat.web.reading import Reader, ending_of, look
from streamchat.web.shapes import RunIn
from streamchat.web.streaming import streams
from streamchat.wiring import LOCAL_OWNER, services

SERVICE = "streamchat.v1.Runs"
Asked = TypeVar("Asked")
Told = TypeVar("Told")
logger = logging.getLogger(__name__)


def handlers() -> grpc.GenericRpcHandler:
    """The calls. By hand instead of by the generated code, because entries come as bytes already."""
    unary = grpc.unary_unary_rpc_method_handler
    calls: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: unary(_told(call), asked.FromString, told.SerializeToString)
        for name, call, asked, told in (
            ("Start", start, pb.StartRequest, pb.StartResponse),
            ("Get", get, pb.GetRequest, pb.Run),
            ("Stop", stop, pb.StopRequest, pb.Run),
            ("Decide", decide, pb.DecideRequest, pb.Run),
        )
    }
    calls["Follow"] = grpc.unary_stream_rpc_method_handler(follow, pb.FollowRequest.FromString, None)
    return grpc.method_handlers_generic_handler(SERVICE, calls)


async def start(asked: pb.StartRequest) -> pb.StartResponse:
    served, wanted = services(), _wanted(asked)
    begun = await served.runs.start(
        LOCAL_OWNER,
        conversation_id=wanted.conversation_id,
        client_message_id=wanted.client_message_id or uuid.uuid4().hex,
        parts=wanted.parts(),
        model=wanted.model or served.models.default,
        system=wanted.system,
        options=wanted.options.options() if wanted.options else None,
    )
    return pb.StartResponse(run_id=begun.run_id, conversation_id=begun.conversation_id, created=begun.created)


async def get(asked: pb.GetRequest) -> pb.Run:
    return as_pb.run_pb(*await look(services().runs, LOCAL_OWNER, asked.run_id))


async def stop(asked: pb.StopRequest) -> pb.Run:
    runs = services().runs
    await runs.cancel(LOCAL_OWNER, asked.run_id)
    return as_pb.run_pb(*await look(runs, LOCAL_OWNER, asked.run_id))


async def decide(asked: pb.DecideRequest) -> pb.Run:
    runs = services().runs
    changed = _parsed(asked.arguments_json, "arguments_json", dict) if asked.arguments_json else None
    decision = Decision(asked.approve, changed, asked.reason, asked.always)
    await runs.decide(LOCAL_OWNER, asked.run_id, asked.call_id, decision)
    return as_pb.run_pb(*await look(runs, LOCAL_OWNER, asked.run_id))


async def follow(asked: pb.FollowRequest, context: ServicerContext) -> AsyncGenerator[bytes, None]:
    """Every entry behind a number, up to the ending."""
    client = context.peer().rpartition(":")[0]
    try:
        streams.enter(client, services().settings.streams_per_client)
        try:
            async with aclosing(_entries(asked)) as entries:
                async for entry in entries:
                    yield entry
        finally:
            streams.leave(client)
    except StreamchatError as error:
        await _refuse(context, error)
    except grpc.aio.AbortError:
        raise
    except Exception:
        await _refuse(context, _unforeseen())


async def _entries(asked: pb.FollowRequest) -> AsyncGenerator[bytes, None]:
    if not 0 <= asked.after <= 2**53:
        raise InvalidInput("The place to go on from is not a number of this stream.")
    runs, seq = services().runs, asked.after
    await look(runs, LOCAL_OWNER, asked.run_id)
    reader = Reader(runs, LOCAL_OWNER, asked.run_id, seq)
    shelf = encoding.shelf(asked.run_id, as_pb.entry_bytes)
    async with aclosing(reader.batches()) as batches:
        async for batch in batches:
            if batch is None:
                yield as_pb.alive_bytes(seq)
            elif isinstance(batch, Snapshot):
                yield as_pb.snapshot_bytes(batch)
                if batch.message.ended:
                    yield as_pb.entry_bytes(Entry(batch.seq, ending_of(batch.message)))
                seq = batch.seq
            else:
                for entry in batch:
                    yield shelf(entry)
                seq = batch[-1].seq


def _told(call: Callable[[Asked], Awaitable[Told]]) -> Callable[[Asked, ServicerContext], Awaitable[Told]]:
    """The call, with its errors as statuses."""

    async def answer(asked: Asked, context: ServicerContext) -> Told:
        try:
            return await call(asked)
        except StreamchatError as error:
            await _refuse(context, error)
        except Exception:
            await _refuse(context, _unforeseen())
        raise AssertionError("a refusal does not return")

    return answer


async def _refuse(context: ServicerContext, error: StreamchatError) -> None:
    metadata = [("streamchat-kind", error.kind)]
    if (after := getattr(error, "retry_after", None)) is not None:
        metadata.append(("retry-after", str(round(after))))
    await context.abort(as_pb.code_of(error), error.user_message, tuple(metadata))


def _unforeseen() -> StreamchatError:
    logger.exception("a call over gRPC failed")
    return StreamchatError("Something went wrong on the server.", kind="internal")


def _wanted(asked: pb.StartRequest) -> RunIn:
    """The same rules as over HTTP. Raises ``InvalidInput``."""
    parts = _parsed(asked.parts_json, "parts_json", list) if asked.WhichOneof("message") == "parts_json" else None
    given = {
        "message": asked.text if parts is None else parts,
        "model": asked.model or None,
        "conversation_id": asked.conversation_id or None,
        "client_message_id": asked.client_message_id or None,
        "system": asked.system or None,
        "options": _parsed(asked.options_json, "options_json", dict) if asked.options_json else None,
    }
    try:
        return RunIn.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(place) for place in first["loc"])
        raise InvalidInput(f"{where}: {first['msg'].removeprefix('Value error, ')}.") from None


def _parsed(text: str, name: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise InvalidInput(f"{name} is not a JSON {'array' if kind is list else 'object'}.")
    return value
