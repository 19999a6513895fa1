"""The gRPC service ``streamchat.v1.Runs``: start, follow, get, stop and decide.

Knows messages and calls, not the port. Rules:

* A refusal has the message and the status code of the error. An unexpected exception is logged, and the client learns
  nothing of it.
* A client that disconnects ends its stream, never the run. Nothing is queued for a slow client: the stream waits.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import unquote

import grpc
from grpc.aio import ServicerContext
from pydantic import ValidationError

from streamchat.chat.json_depth import parse_json
from streamchat.errors import InvalidInput, StreamchatError
from streamchat.identity import CHAT, READ, Credentials, Scope
from streamchat.runs.approvals import Decision
from streamchat.runs.reader import RunReader, encode
from streamchat.v1 import runs_pb2 as pb
from streamchat.web import grpc_encoding as as_pb
from streamchat.web.conversation_events import reader_of
from streamchat.web.dependencies import joined
from streamchat.web.schemas import RunIn
from streamchat.web.streaming import streams
from streamchat.wiring import Services
from streamchat.wiring.request_context import RequestContext, context_for

SERVICE = "streamchat.v1.Runs"
SCOPES: dict[str, Scope] = {
    **{"Start": CHAT, "Get": READ, "Stop": CHAT, "Decide": CHAT, "Steer": CHAT},
    **{"Follow": READ, "FollowConversation": READ},
}
In = TypeVar("In")
Out = TypeVar("Out")
logger = logging.getLogger(__name__)


class RunsServicer:
    """The handlers of the service. Not a subclass of the generated servicer, because entries are already encoded."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return the handlers in the form that a server takes."""
        unary = grpc.unary_unary_rpc_method_handler
        calls: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            name: unary(self._answering(call, SCOPES[name]), request.FromString, response.SerializeToString)
            for name, call, request, response in (
                ("Start", _start, pb.StartRequest, pb.StartResponse),
                ("Get", _get, pb.GetRequest, pb.Run),
                ("Stop", _stop, pb.StopRequest, pb.Run),
                ("Decide", _decide, pb.DecideRequest, pb.Run),
                ("Steer", _steer, pb.SteerRequest, pb.StartResponse),
            )
        }
        stream = grpc.unary_stream_rpc_method_handler
        calls["Follow"] = stream(self._streaming(_entries, SCOPES["Follow"]), pb.FollowRequest.FromString, None)
        calls["FollowConversation"] = stream(
            self._streaming(_conversation_events, SCOPES["FollowConversation"]),
            pb.FollowConversationRequest.FromString,
            None,
        )
        return grpc.method_handlers_generic_handler(SERVICE, calls)

    def _streaming(
        self, call: Callable[[In, RequestContext], Awaitable[AsyncGenerator[Iterable[bytes], None]]], scope: Scope
    ) -> Callable[[In, ServicerContext], AsyncGenerator[bytes, None]]:
        """Wrap a call whose answer is a stream, as ``_answering`` does the others."""

        async def follow(request: In, grpc_context: ServicerContext) -> AsyncGenerator[bytes, None]:
            try:
                context = await self._context(grpc_context, scope)
                with streams.take(context):
                    batches = await call(request, context)
                    async with aclosing(batches):
                        async for entries in batches:
                            for entry in entries:
                                yield entry
            except StreamchatError as error:
                await _refuse(grpc_context, error)
            except grpc.aio.AbortError:
                raise
            except Exception:
                await _refuse(grpc_context, _unexpected())

        return follow

    def _answering(
        self, call: Callable[[In, RequestContext], Awaitable[Out]], scope: Scope
    ) -> Callable[[In, ServicerContext], Awaitable[Out]]:
        """Wrap a call: add the request context, and turn errors into status codes."""

        async def answer(request: In, grpc_context: ServicerContext) -> Out:
            try:
                return await call(request, await self._context(grpc_context, scope))
            except StreamchatError as error:
                await _refuse(grpc_context, error)
            except Exception:
                await _refuse(grpc_context, _unexpected())
            raise AssertionError("a refusal does not return")

        return answer

    async def _context(self, grpc_context: ServicerContext, scope: Scope) -> RequestContext:
        metadata = grpc_context.invocation_metadata() or ()
        headers = joined((name, value) for name, value in metadata if isinstance(value, str))
        # Only keys come in here: of a proxy in between nothing is known.
        headers.pop((self._services.settings.trusted_user_header or "").lower(), None)
        context = await context_for(self._services, Credentials(headers, address=_address(grpc_context)))
        context.identity.require(scope)
        return context


async def _start(request: pb.StartRequest, context: RequestContext) -> pb.StartResponse:
    started = await context.start(_run_in(request).new_run((await context.models()).default))
    return pb.StartResponse(run_id=started.run_id, conversation_id=started.conversation_id, created=started.created)


async def _get(request: pb.GetRequest, context: RequestContext) -> pb.Run:
    return as_pb.run_pb(*await context.runs.get(context.owner, request.run_id))


async def _stop(request: pb.StopRequest, context: RequestContext) -> pb.Run:
    await context.runs.cancel(context.owner, request.run_id)
    return as_pb.run_pb(*await context.runs.get(context.owner, request.run_id))


async def _decide(request: pb.DecideRequest, context: RequestContext) -> pb.Run:
    changed = _parsed(request.arguments_json, "arguments_json", dict) if request.arguments_json else None
    decision = Decision(request.approve, changed, request.reason, request.always)
    await context.runs.decide(context.owner, request.run_id, request.call_id, decision)
    return as_pb.run_pb(*await context.runs.get(context.owner, request.run_id))


async def _steer(request: pb.SteerRequest, context: RequestContext) -> pb.StartResponse:
    conversation_id = await context.runs.conversation_of(context.owner, request.run_id)
    start = pb.StartRequest(
        model=request.model, conversation_id=conversation_id, client_message_id=request.client_message_id
    )
    if request.WhichOneof("message") == "parts_json":
        start.parts_json = request.parts_json
    else:
        start.text = request.text
    new = _run_in(start).new_run((await context.models()).default)
    started = await context.steer(request.run_id, new, at_round=request.at_round)
    return pb.StartResponse(run_id=started.run_id, conversation_id=started.conversation_id, created=started.created)


async def _entries(request: pb.FollowRequest, context: RequestContext) -> AsyncGenerator[Iterable[bytes], None]:
    """Start reading. Raises ``InvalidInput``, ``NotFound``, ``StorageError``."""
    if not 0 <= request.after <= 2**53:
        raise InvalidInput("The position to resume from is not an event number.")
    await context.runs.conversation_of(context.owner, request.run_id)
    reader = RunReader(context.runs, context.owner, request.run_id, request.after)
    return encode(reader, as_pb.GrpcEncoder(request.run_id, request.after))


async def _conversation_events(
    request: pb.FollowConversationRequest, context: RequestContext
) -> AsyncGenerator[Iterable[bytes], None]:
    """Start reading. Raises ``BadRequest``, ``NotFound``, ``StorageError``."""
    return as_pb.conversation_stream(await reader_of(context, request.conversation_id, request.after))


def _address(grpc_context: ServicerContext) -> str:
    """Return the client's address of a peer such as ``ipv4:192.0.2.1:4711`` or ``ipv6:%5B::1%5D:4711``."""
    kind, _, rest = unquote(grpc_context.peer()).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else ""


async def _refuse(context: ServicerContext, error: StreamchatError) -> None:
    metadata: list[tuple[str, str]] = [("streamchat-kind", error.kind)]
    if (after := getattr(error, "retry_after", None)) is not None:
        metadata.append(("retry-after", str(max(1, round(after)))))
    await context.abort(as_pb.code_of(error), error.user_message, tuple(metadata))


def _unexpected() -> StreamchatError:
    logger.exception("a call over gRPC failed")
    return StreamchatError("Something went wrong on the server.", kind="internal")


def _run_in(request: pb.StartRequest) -> RunIn:
    """Validate a request by the rules of ``POST /api/runs``. Raises ``InvalidInput``."""
    parts = _parsed(request.parts_json, "parts_json", list) if request.WhichOneof("message") == "parts_json" else None
    fields = {
        "message": request.text if parts is None else parts,
        "model": request.model or None,
        "conversation_id": request.conversation_id or None,
        "client_message_id": request.client_message_id or None,
        "parent_id": request.parent_id if request.HasField("parent_id") else None,
        "queue": request.queue,
        "system": request.system or None,
        "options": _parsed(request.options_json, "options_json", dict) if request.options_json else None,
    }
    try:
        return RunIn.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        location = ".".join(str(item) for item in first["loc"])
        raise InvalidInput(f"{location}: {first['msg'].removeprefix('Value error, ')}.") from None


def _parsed(text: str, name: str, kind: type) -> Any:
    try:
        value = parse_json(text)
    except ValueError:
        value = None
    if not isinstance(value, kind):
        raise InvalidInput(f"{name} is not a JSON {'array' if kind is list else 'object'}.")
    return value
