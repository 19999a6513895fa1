"""Raw recordings: what a provider sent for an answer, byte for byte with its times, as files for bug reports and tests.

Knows no vendor. ``simulator/player.py`` plays the files. Rules:

* Only answers are recorded: requests that name their run. Nothing of a temporary chat is.
* Of the request only its method and the path of its address are kept: no header, no query, no body. Of the response
  its status, its content type and its body.
* Wherever a header of the request that is a secret occurs in the body, or something that looks like a key, there are
  as many asterisks. So lengths stay, and with them the places where chunks end.
* A file is written by a thread of its own after the body has ended, and nothing waits for it. A body is cut off after
  ``MAX_BODY_BYTES``, as are all bodies that are read at a time after ``MAX_HELD_BYTES``. The folder keeps the newest
  ``MAX_FILES``, and ``MAX_FOLDER_BYTES``.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

import httpx2

from streamchat.chat.request import is_temporary
from streamchat.daemon_threads import DaemonThreads
from streamchat.providers.endpoint import RUN_HEADER

logger = logging.getLogger(__name__)
FORMAT = "streamchat-raw-recording"
VERSION = 1
MAX_BODY_BYTES, MAX_HELD_BYTES = 16 * 2**20, 64 * 2**20
MAX_FILES, MAX_FOLDER_BYTES = 1000, 256 * 2**20
MAX_WRITING = 100
CLOSE_SECONDS = 5.0
_STARTED = "streamchat.started"
# Headers of requests that are no secret; whatever else there is may be one.
_HARMLESS = frozenset(
    ("host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length", "te")
)
_SHORTEST_SECRET = 8
_LOOKS_LIKE_A_KEY = re.compile(rb"\b(?:(?:sk|pk|rk|gsk|xai|hf|pplx|r8)[-_][A-Za-z0-9_-]{12,}|AIza[A-Za-z0-9_-]{20,})")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class RawRecorder:
    """Records the responses of one client into a folder, which is created with the first one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = DaemonThreads("raw recording")
        self._lock = Lock()
        self._writing: set[Future[None]] = set()
        self._held = 0

    def asked(self, request: httpx2.Request) -> None:
        """A request is made: have its body sent as it is, and remember the time."""
        request.headers["Accept-Encoding"] = "identity"
        request.extensions[_STARTED] = monotonic()

    def watch(self, response: httpx2.Response) -> None:
        """Record the body of this response, if it is that of an answer."""
        request = response.request
        run_id = request.headers.get(RUN_HEADER, "")
        if not run_id or is_temporary(run_id) or _STARTED not in request.extensions:
            return
        if response.headers.get("content-encoding", "identity") != "identity":
            logger.warning("a response is not recorded: it is compressed, though that was not asked for")
            return
        response.stream = _Recorded(response.stream, _Recording.of(response, run_id), self)

    def take(self, size: int) -> bool:
        """Return whether so many bytes more may be held, which are taken then."""
        if self._held + size > MAX_HELD_BYTES:
            return False
        self._held += size
        return True

    def finished(self, recording: _Recording) -> None:
        """Write a recording in the background, unless the disk is far behind."""
        self._held -= recording.size
        if len(self._writing) >= MAX_WRITING:
            logger.warning("a response is not recorded: the disk is too slow")
            return
        future = self._threads.submit(self._write, recording)
        self._writing.add(future)
        future.add_done_callback(self._writing.discard)

    def close(self) -> None:
        """Wait until what has ended is written, for at most ``CLOSE_SECONDS``. Blocks."""
        until = monotonic() + CLOSE_SECONDS
        for future in list(self._writing):
            with suppress(Exception):
                future.result(max(0.0, until - monotonic()))

    def _write(self, recording: _Recording) -> None:
        try:
            with self._lock:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                path = self._folder / recording.name
                with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                    json.dump(recording.to_json(), file, ensure_ascii=False)
                keep_newest(self._folder)
        except OSError as error:
            logger.warning("a response is not recorded: %s", error.strerror or type(error).__name__)


def keep_newest(folder: Path) -> None:
    """Delete the oldest recordings beyond ``MAX_FILES`` and ``MAX_FOLDER_BYTES``. Their names begin with their time."""
    sizes = [(path, path.stat().st_size) for path in sorted(folder.glob("*.raw.json"), reverse=True)]
    totals = accumulate(size for _, size in sizes)
    for number, ((path, _), total) in enumerate(zip(sizes, totals, strict=True), 1):
        if number > MAX_FILES or (total > MAX_FOLDER_BYTES and number > 1):
            path.unlink(missing_ok=True)


@dataclass(slots=True)
class _Recording:
    """One response. ``chunks``: arrival in seconds from the request, and bytes. ``ending``: see ``to_json``."""

    run_id: str
    method: str
    path: str
    status: int
    content_type: str
    secrets: tuple[bytes, ...]
    started: float
    at: float = field(default_factory=time.time)
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    size: int = 0
    ending: str = "closed"
    truncated: bool = False

    @classmethod
    def of(cls, response: httpx2.Response, run_id: str) -> _Recording:
        request = response.request
        secrets = _secrets_of(request)
        return cls(
            run_id=run_id,
            method=request.method,
            path=masked(request.url.path.encode(), secrets).decode(),
            status=response.status_code,
            content_type=response.headers.get("content-type", ""),
            secrets=secrets,
            started=request.extensions[_STARTED],
        )

    @property
    def name(self) -> str:
        moment = datetime.fromtimestamp(self.at, UTC).strftime("%Y%m%dT%H%M%S.%f")
        return f"{moment}-{_NOT_IN_A_NAME.sub('-', self.run_id)[:40]}.raw.json"

    def to_json(self) -> dict[str, Any]:
        """Return the file. ``ending``: *complete*, *closed* (by us, before the end), or the name of an error."""
        body = masked(b"".join(chunk for _, chunk in self.chunks), self.secrets)
        chunks, start = [], 0
        for at, chunk in self.chunks:
            piece = body[start : (start := start + len(chunk))]
            chunks.append({"at_ms": round(at * 1000, 1), **_text_or_base64(piece)})
        return {
            **{"format": FORMAT, "version": VERSION, "at": datetime.fromtimestamp(self.at, UTC).isoformat()},
            **{"run_id": self.run_id, "method": self.method, "path": self.path, "status": self.status},
            **{"content_type": self.content_type, "ending": self.ending, "truncated": self.truncated},
            "chunks": chunks,
        }


class _Recorded(httpx2.AsyncByteStream):
    """A body whose chunks are recorded as they pass."""

    def __init__(self, stream: Any, recording: _Recording, recorder: RawRecorder) -> None:
        self._stream = stream
        self._recording = recording
        self._recorder: RawRecorder | None = recorder

    async def __aiter__(self) -> AsyncIterator[bytes]:
        recording = self._recording
        try:
            async for chunk in self._stream:
                self._keep(chunk)
                yield chunk
            recording.ending = "complete"
        except httpx2.HTTPError as error:
            recording.ending = type(error).__name__
            raise

    async def aclose(self) -> None:
        recorder, self._recorder = self._recorder, None
        try:
            await self._stream.aclose()
        finally:
            if recorder is not None:
                recorder.finished(self._recording)

    def _keep(self, chunk: bytes) -> None:
        recording, recorder = self._recording, self._recorder
        if recorder is None or recording.truncated:
            return
        if recording.size + len(chunk) > MAX_BODY_BYTES or not recorder.take(len(chunk)):
            recording.truncated = True
            return
        recording.size += len(chunk)
        recording.chunks.append((monotonic() - recording.started, bytes(chunk)))


def _secrets_of(request: httpx2.Request) -> tuple[bytes, ...]:
    """Return the values of the headers that may be secrets, and each word of them: ``Bearer <key>`` is two."""
    found: set[bytes] = set()
    for name, value in request.headers.items():
        name = name.lower()
        if name in _HARMLESS or name == RUN_HEADER.lower() or name.startswith(("x-stainless-", "anthropic-")):
            continue
        found |= {word.encode() for word in (value, *value.split()) if len(word) >= _SHORTEST_SECRET}
    password = request.url.password
    return tuple(sorted(found | ({password.encode()} if password else set()), key=len, reverse=True))


def masked(body: bytes, secrets: tuple[bytes, ...] = ()) -> bytes:
    """Return the body with asterisks in place of these secrets and of what looks like a key. Lengths stay."""
    for secret in secrets:
        body = body.replace(secret, b"*" * len(secret))
    return _LOOKS_LIKE_A_KEY.sub(lambda found: b"*" * len(found[0]), body)


def _text_or_base64(piece: bytes) -> dict[str, str]:
    """Return a chunk as text where it is valid UTF-8: a character may be cut in two."""
    try:
        return {"text": piece.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(piece).decode()}
