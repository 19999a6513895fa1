"""``@tool``: declares a typed function as a tool that models may call.

Knows nothing of threads, runs or pages. Rules:

* The decorated function can still be called directly.
* An async generator yields ``Progress`` lines. The first other value is the result, and ends the call.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, overload

from streamchat.chat.events import Json
from streamchat.chat.request import ToolSpec
from streamchat.tools.signature import read_signature
from streamchat.tools.tool_context import Context

TIMEOUT = 30.0
MAX_BYTES = 256 * 1024
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, eq=False)
class Tool:
    """A tool: its declaration for models, its limits and how to call it.

    ``approve``: each call requires the user's approval. ``server``: the MCP server that provides it, or empty.
    ``timeout``: seconds per call. ``max_bytes``: limit of the result as JSON text. ``check`` returns the arguments with
    the defaults filled in, or raises ``BadArguments``. ``begin`` calls the function, and must not be called on the
    program's event loop.
    """

    spec: ToolSpec
    check: Callable[[Mapping[str, Json]], dict[str, Json]] = field(repr=False)
    begin: Callable[[Mapping[str, Json], Context], Any] = field(repr=False)
    approve: bool = False
    server: str = ""
    timeout: float = TIMEOUT
    max_bytes: int = MAX_BYTES
    function: Callable[..., Any] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The name under which models call it."""
        return self.spec.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the decorated function directly. Raises ``TypeError`` for a tool of an MCP server."""
        if self.function is None:
            raise TypeError(f"{self.name} is a tool of the server {self.server}; it has no function here")
        return self.function(*args, **kwargs)


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *, name: str | None = None, approve: bool = False, timeout: float = TIMEOUT, max_bytes: int = MAX_BYTES
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    approve: bool = False,
    timeout: float = TIMEOUT,
    max_bytes: int = MAX_BYTES,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of an ``async def``, an async generator or a plain ``def``.

    ``timeout`` is in seconds. ``max_bytes`` limits the result as JSON text. With ``approve``, each call requires the
    user's approval. Raises ``TypeError`` if the signature has no JSON schema. Raises ``ValueError`` for a name that
    vendors refuse, or a limit that is not above zero.
    """

    def make(target: Callable[..., Any]) -> Tool:
        return _make(target, name, approve, timeout, max_bytes)

    return make if function is None else make(function)


def _make(function: Callable[..., Any], name: str | None, approve: bool, timeout: float, max_bytes: int) -> Tool:
    if not inspect.isfunction(function):
        raise TypeError(f"@tool belongs on a function, not on {function!r}")
    if inspect.isgeneratorfunction(function):
        raise TypeError(f"tool {function.__name__}: a tool with progress is an async def")
    if timeout <= 0 or max_bytes <= 0:
        raise ValueError(f"tool {function.__name__}: a limit must be above zero")
    name = name or function.__name__
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name for a tool: up to 64 letters, digits, _ and - are")
    signature = read_signature(function)

    def begin(arguments: Mapping[str, Json], context: Context) -> Any:
        contexts = dict.fromkeys(signature.context, context)
        return function(**signature.values(arguments), **contexts)

    return Tool(
        spec=ToolSpec(name, signature.description, signature.schema),
        check=signature.check,
        begin=begin,
        approve=approve,
        timeout=timeout,
        max_bytes=max_bytes,
        function=function,
    )
