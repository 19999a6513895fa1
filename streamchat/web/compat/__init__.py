"""APIs compatible with those of vendors: chat completions, Responses, Messages, and the AI SDK's UI message stream.

``protocols/`` has the pure part of each: a request in, a stream out. ``respond`` puts a run between the two. Rules:

* A call is a run like any other: it is on the page, it outlives its client, and its identifier is in a header.
* Tools that a client declares are offered instead of ours, and their calls are returned to it, never executed.
* A parameter that we do not support is refused if ignoring it would change the meaning of the answer, else ignored.
"""
