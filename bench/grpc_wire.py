"""gRPC as bytes on a socket: the request of one client, and what it got, decoded afterwards.

As the other clients of the benchmark, this one does nothing while it measures but to note when what arrived. It never
acknowledges anything, so it opens its windows wide at once and is done within seconds.
"""

from __future__ import annotations

import struct

from streamchat import protos

protos.generate()

from streamchat.v1 import runs_pb2 as pb  # noqa: E402 made just now

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _WINDOW_UPDATE = 0, 1, 4, 8
_END_STREAM, _END_HEADERS = 1, 4
_WIDE = 2**31 - 1
_FIRST_WINDOW = 65_535


def request(host: str, run_id: str) -> bytes:
    """Follow this run: a connection's first bytes."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/streamchat.v1.Runs/Follow",
        ":authority": host,
        "te": "trailers",
        "content-type": "application/grpc",
    }
    message = pb.FollowRequest(run_id=run_id).SerializeToString()
    return b"".join(
        (
            _PREFACE,
            _frame(_SETTINGS, 0, 0, struct.pack(">HI", 4, _WIDE)),
            _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WIDE - _FIRST_WINDOW)),
            _frame(_HEADERS, _END_HEADERS, 1, b"".join(_literal(*pair) for pair in headers.items())),
            _frame(_DATA, _END_STREAM, 1, b"\0" + struct.pack(">I", len(message)) + message),
        )
    )


def last(data: bytes) -> bool:
    """Whether these bytes hold the trailers, which end the only stream."""
    return bytes((_HEADERS, _END_STREAM | _END_HEADERS, 0, 0, 0, 1)) in data[-400:]


class Decoder:
    """Bytes in, entries out."""

    def __init__(self) -> None:
        self._frames = self._messages = b""

    def feed(self, data: bytes) -> list[pb.Entry]:
        self._frames += data
        while len(self._frames) >= 9:
            end = 9 + int.from_bytes(self._frames[:3], "big")
            if len(self._frames) < end:
                break
            kind, body = self._frames[3], self._frames[9:end]
            self._frames = self._frames[end:]
            if kind == _DATA:
                self._messages += body
        entries = []
        while len(self._messages) >= 5:
            end = 5 + int.from_bytes(self._messages[1:5], "big")
            if len(self._messages) < end:
                break
            entries.append(pb.Entry.FromString(self._messages[5:end]))
            self._messages = self._messages[end:]
        return entries


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body


def _literal(name: str, value: str) -> bytes:
    """A header that is in no table (HPACK, literal without indexing)."""
    return b"\0" + _string(name) + _string(value)


def _string(text: str) -> bytes:
    return bytes((len(text),)) + text.encode()
