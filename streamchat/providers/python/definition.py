"""``@model``: declares a function that answers a request as a model.

Knows nothing of threads or of how pieces become events. Rules:

* The decorated function can still be called directly.
* Nothing heavy is imported here: a file with a model loads no server and no SDK.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, overload

from streamchat.chat.events import Json
from streamchat.errors import ProviderError
from streamchat.providers.base import Capabilities, ModelInfo

PROVIDER = "python"
NAME = re.compile(r"[\w.-]{1,64}")


class ModelError(ProviderError):
    """An error whose message is shown as it is, raised by a model's function.

    ``retryable``: the same question may work later; it is asked again if nothing was answered yet. ``retry_after``:
    seconds to wait before that.
    """


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A whole tool call, yielded by a model's function.

    ``arguments``: JSON. ``id``: names the call in a ``ToolResult`` that is yielded later. ``by_provider``: the function
    runs the tool itself and yields the result; otherwise the server runs the tool, and calls the function again with
    the result.
    """

    name: str
    arguments: Mapping[str, Json] = field(default_factory=dict)
    id: str = ""
    by_provider: bool = False


@dataclass(frozen=True, eq=False)
class Model:
    """A function that answers as a model. Its id is ``python:name``."""

    info: ModelInfo
    function: Callable[..., Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The name without the provider."""
        return self.info.name

    @property
    def in_thread(self) -> bool:
        """Whether the function may block, and runs in a thread of its own."""
        return not (inspect.isasyncgenfunction(self.function) or inspect.iscoroutinefunction(self.function))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the decorated function directly."""
        return self.function(*args, **kwargs)


@overload
def model(function: Callable[..., Any], /) -> Model: ...
@overload
def model(
    *, name: str | None = None, label: str | None = None, note: str | None = None, tools: bool = True,
    context: int | None = None, remote: bool = False
) -> Callable[[Callable[..., Any]], Model]: ...  # fmt: skip
def model(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    label: str | None = None,
    note: str | None = None,
    tools: bool = True,
    context: int | None = None,
    remote: bool = False,
) -> Model | Callable[[Callable[..., Any]], Model]:
    """Make a model of a function that takes a ``Request``: a generator or a plain one, async or not.

    ``name``: the part of the id after ``python:``, by default the function's. ``label`` and ``note`` are for the model
    picker, by default the name and the first line of the docstring. ``tools``: the function is offered tools.
    ``context``: tokens that it reads; older messages are left out beyond it. ``remote``: the conversation leaves this
    machine and its network. Raises ``TypeError`` for anything that cannot be called with a request, ``ValueError`` for
    a name that is not up to 64 letters, digits, ``_``, ``.`` and ``-``.
    """

    def make(target: Callable[..., Any]) -> Model:
        if not inspect.isfunction(target):
            raise TypeError(f"@model belongs on a function, not on {target!r}")
        _check_signature(target)
        own = target.__name__ if name is None else name
        if not NAME.fullmatch(own):
            raise ValueError(f"{own!r} is not a name for a model: up to 64 letters, digits, _, . and - are")
        about = (inspect.getdoc(target) or "").partition("\n")[0] if note is None else note
        able = Capabilities(reasoning=True, tools=tools, images=True, context=context)
        info = ModelInfo(f"{PROVIDER}:{own}", own if label is None else label, None, about, able, remote)
        return Model(info, target)

    return make if function is None else make(function)


def _check_signature(function: Callable[..., Any]) -> None:
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        raise TypeError(f"model {function.__name__}: the function takes one argument, the request") from None
