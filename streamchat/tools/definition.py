"""``@tool``: a typed function that models may call.

Knows nothing of threads, runs or pages. Rules:

* The function stays callable as it was written.
* An async generator yields ``Progress`` lines; the first other value that it yields is the result, and the last.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, overload

from streamchat.chat.events import Json
from streamchat.chat.request import ToolSpec
from streamchat.tools.context import Context
from streamchat.tools.signature import read_signature

TIMEOUT = 30.0
MAX_BYTES = 256 * 1024
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, eq=False)
class Tool:
    """``approve``: ask the person before each call. ``server``: the MCP server that it belongs to, or empty.

    ``timeout`` in seconds; ``max_bytes`` of the result as JSON text. ``check`` gives the arguments with defaults
    filled in, and raises ``BadArguments``. ``begin`` calls the function (anywhere but on the program's loop).
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
        return self.spec.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function itself, as it was written."""
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

    Raises ``TypeError`` for a function that cannot be described, ``ValueError`` for a name that vendors refuse.
    """

    def make(made_of: Callable[..., Any]) -> Tool:
        return _make(made_of, name, approve, timeout, max_bytes)

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
        given = dict.fromkeys(signature.context, context)
        return function(**signature.values(arguments), **given)

    return Tool(
        spec=ToolSpec(name, signature.description, signature.schema),
        check=signature.check,
        begin=begin,
        approve=approve,
        timeout=timeout,
        max_bytes=max_bytes,
        function=function,
    )
