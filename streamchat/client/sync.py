"""The client for code that waits: ``Client`` and ``Run``.

Knows how to wait and to try again; what is said and what it means are ``protocol`` and ``reading``. Rules:

* Not for several threads at once.
* A loop that is left early, by Ctrl-C too, loses nothing: the next one goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

import httpx2

from streamchat.chat.messages import Message, Part
from streamchat.client import protocol as p
from streamchat.client.backoff import Backoff
from streamchat.client.reading import Entry, Gap, Reading, Told
from streamchat.client.run import RunView
from streamchat.errors import StreamchatError


class Client:
    """Speaks to the server at ``base_url``. ``patience``: seconds to try again for, after a connection was lost."""

    def __init__(
        self, base_url: str = p.DEFAULT_URL, *, patience: float = 60.0, headers: Mapping[str, str] | None = None
    ) -> None:
        self.url = p.checked_url(base_url)
        self.patience = patience
        self._runs: WeakSet[Run] = WeakSet()
        self._http = httpx2.Client(
            base_url=self.url,
            headers={**p.HEADERS, **(headers or {})},
            timeout=httpx2.Timeout(p.SILENCE_SECONDS, connect=p.CONNECT_SECONDS, pool=None),
            limits=httpx2.Limits(max_connections=None),  # each run that is read holds one
            trust_env=not p.is_loopback(self.url),  # no proxy stands before this machine
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Runs go on: they are the server's."""
        for run in list(self._runs):
            run.close()
        self._http.close()

    def start(
        self,
        message: str | Sequence[Part],
        *,
        model: str | None = None,
        conversation_id: str | None = None,
        client_message_id: str | None = None,
        system: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Run:
        """Ask a model. The same ``client_message_id`` again is the same run. Raises the package's errors."""
        body = p.start_body(
            message,
            model=model,
            conversation_id=conversation_id,
            client_message_id=client_message_id or p.new_id(),
            system=system,
            options=options,
        )
        begun = p.begun_from(self._ask("POST", "/api/runs", body))
        return Run(self, begun, Reading(begun.run_id, model=model or ""))

    def follow(self, run_id: str, *, after: int | None = None) -> Run:
        """Read a run: what there is as a snapshot, then what comes; or every event after number ``after``."""
        begun, seq, message = p.run_from(self._ask("GET", p.run_path(run_id)))
        if after is not None:
            return Run(self, begun, Reading(run_id, after=after, model=message.model, whole=False))
        reading = Reading(run_id)
        return Run(self, begun, reading, reading.replace(seq, message))

    def get(self, run_id: str) -> Message:
        """The answer so far. Raises ``NotFound``."""
        return p.run_from(self._ask("GET", p.run_path(run_id)))[2]

    def stop(self, run_id: str) -> Message:
        """Stop a run; nothing happens to one that has ended. Its message. Raises ``NotFound``."""
        return p.run_from(self._ask("DELETE", p.run_path(run_id)))[2]

    def decide(
        self,
        run_id: str,
        call_id: str,
        approve: bool,
        *,
        arguments: Mapping[str, Any] | None = None,
        reason: str = "",
        always: bool = False,
    ) -> Message:
        """Approve or deny a tool call that waits; the message then. ``arguments``: changed ones; ``always``: in this
        conversation. Raises ``InvalidInput`` for a call that does not wait, and ``NotFound``."""
        body = p.decision_body(call_id, approve, arguments, reason, always)
        return p.run_from(self._ask("POST", p.decisions_path(run_id), body, patience=0.0))[2]

    def _ask(self, method: str, path: str, body: Any = None, *, patience: float | None = None) -> bytes:
        """One request, sent again while that makes sense; the body of the answer."""
        backoff = Backoff(self.patience if patience is None else patience)
        while True:
            try:
                answer = self._http.request(method, path, json=body)
                p.check(answer.status_code, answer.headers, answer.content)
                return answer.content
            except (httpx2.HTTPError, p.Refused) as error:
                _wait(backoff, error, self.url)


class Run(RunView):
    """One answer, read once: loops over it share its events. ``client.follow(run.id)`` reads it a second time."""

    def __init__(self, client: Client, begun: p.Begun, reading: Reading, first: Entry | None = None) -> None:
        super().__init__(begun, reading, first)
        self._client = client
        self._source = self._read()
        client._runs.add(self)

    def entries(self) -> Generator[Entry, None, None]:
        """The numbered events, up to and with the ending. Raises ``Unreachable``, ``NotFound``."""
        self._looping += 1
        try:
            while (entry := self._kept.popleft() if self._kept else self._next()) is not None:
                yield entry
        finally:
            self._looping -= 1

    def events(self) -> Generator[Told, None, None]:
        """The events, up to and with the ending."""
        for entry in self.entries():
            yield entry.event

    def text(self) -> Generator[str, None, None]:
        """The text, piece by piece. Raises ``Incomplete`` at the end of an answer that failed or was cut off."""
        for event in self.events():
            if piece := self.new_text(event):
                yield piece
        self._check_complete()

    def final(self) -> Message:
        """The whole message, with usage and stop reason, once it has ended."""
        while (entry := self._next()) is not None:
            if self._looping:
                self._kept.append(entry)
        if not self._reading.whole:
            self._fetch()
        return self.message

    def stop(self) -> Message:
        """Stop it. What had arrived is kept; a loop over it goes on to the ending."""
        return self._client.stop(self.id)

    def close(self) -> None:
        """Read no more of it. It goes on at the server."""
        self._closed = True
        self._source.close()

    def _next(self) -> Entry | None:
        while not self._over:
            if (entry := next(self._source, None)) is not None:
                if self._over:
                    self._source.close()
                return entry
            if not self._over:  # an exception from outside, Ctrl-C above all, had ended it
                self._source = self._read()
        return None

    def _read(self) -> Generator[Entry, None, None]:
        """Every entry, over as many connections as it takes."""
        backoff, furthest = Backoff(self._client.patience), self._reading.seq
        while not self._reading.ended:
            try:
                for entry in self._connection():
                    if entry.seq > furthest:
                        backoff.progress()
                        furthest = entry.seq
                    yield entry
                if not self._reading.ended:
                    raise httpx2.RemoteProtocolError("the stream ended before the answer")
            except (httpx2.HTTPError, p.Refused, Gap) as error:
                _wait(backoff, error, self._client.url, self._reading.retry_seconds)

    def _connection(self) -> Generator[Entry, None, None]:
        reading = self._reading
        reading.connect()
        with self._client._http.stream("GET", p.events_path(self.id), params={"after": reading.seq}) as answer:
            if answer.status_code >= 300:
                p.check(answer.status_code, answer.headers, answer.read())
            for data in answer.iter_bytes():
                yield from reading.feed(data)
                if reading.ended:
                    return
            if reading.done or answer.status_code == 204:  # it has ended, and everything was read
                yield self._fetch()

    def _fetch(self) -> Entry:
        """The whole message from the server."""
        _, seq, message = p.run_from(self._client._ask("GET", p.run_path(self.id)))
        return self._reading.replace(seq, message)


def _wait(backoff: Backoff, error: StreamchatError | httpx2.HTTPError, url: str, asked: float | None = None) -> None:
    """Until the next try makes sense. Raises what was wrong where none does."""
    time.sleep(p.pause_after(backoff, error, url, time.monotonic(), asked))
