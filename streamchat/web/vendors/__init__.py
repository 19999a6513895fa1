"""The vendors' own shapes over our runs: chat completions, Responses, Messages, and the AI SDK's UI message stream.

For each shape a ``*_request`` (a body in, an ``Asked`` out) and a ``*_writer`` (events in, the vendor's chunks out),
both pure; ``serving`` puts a run between them. Rules:

* A call is a run like any other: it is on the page, it outlives its client, and its id is in a header.
* Tools that a client declares are offered instead of ours and returned to it, never run.
* What a shape has and we have not is refused where leaving it out would change the answer's meaning, else ignored.
"""
