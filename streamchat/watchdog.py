"""Watchdog of an event loop: measures how long the loop stands still, and finds the place.

Knows nothing of what runs on the loop. Rules:

* A pause is a time in which the loop ran nothing else for more than ``LIMIT_SECONDS``: between two calls of its
  selector. It is counted, and logged with the stack of the loop's thread during the pause.
* A process that the machine did not schedule is not a pause: then the loop's thread used no time, and the watchdog's
  own thread was late too.
* It costs a few looks at the clock per turn of the loop, and ten wake-ups of a thread per second: waking up is dear for
  a process that has little to do. So a pause shorter than ``REST_SECONDS`` is not always seen by the thread. Then its
  place is unknown, and it counts only if the loop's thread computed.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from types import FrameType
from typing import Any

LIMIT_SECONDS = 0.05
REST_SECONDS = 0.1
MAX_FRAMES = 8
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Pauses:
    """Pauses of the loop since the start. ``longest`` and ``total``: seconds."""

    count: int = 0
    longest: float = 0.0
    total: float = 0.0


class Watchdog:
    """Watches the running loop from ``start`` to ``close``. ``clock`` and ``busy``: seconds, elapsed and of CPU.

    A loop without a selector of Python's is not watched.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        busy: Callable[[], float] = time.thread_time,
    ) -> None:
        self.pauses = Pauses()
        self._clock = clock
        self._busy = busy
        self._turn = 0
        self._waiting = False
        self._woken_at = self._marked_at = self._busy_at = 0.0
        self._sample: tuple[int, str] | None = None
        self._selector: Any = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def sampled(self) -> bool:
        """Whether the place of the present pause is known."""
        return self._sample is not None and self._sample[0] == self._turn

    def start(self) -> None:
        """Start to watch the running loop. Call in its thread."""
        self._selector = getattr(asyncio.get_running_loop(), "_selector", None)
        if self._selector is None:
            return
        self._watched = threading.get_ident()
        self._woken()
        self._select = self._selector.select
        self._selector.select = self._watched_select = self.watched(self._select)
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop to watch. Call in the loop's thread; does not wait for the watchdog's thread."""
        self._closed.set()
        if self._selector is not None and self._selector.select is self._watched_select:
            self._selector.select = self._select

    def watched(self, select: Callable[[float | None], Any]) -> Callable[[float | None], Any]:
        """Return ``select``, which records the time since its last call returned."""

        def selected(timeout: float | None = None) -> Any:
            if self._closed.is_set():  # another watchdog of this loop began later, and goes on
                return select(timeout)
            pause = self._clock() - self._woken_at
            if pause > LIMIT_SECONDS and (self.sampled or self._busy() - self._busy_at > self._since_mark() / 2):
                self._record(pause)
            self._waiting = True
            events = select(timeout)
            self._waiting = False
            self._woken()
            return events

        return selected

    def _woken(self) -> None:
        self._turn += 1
        self._woken_at = self._clock()
        if self._since_mark() > LIMIT_SECONDS:  # not each time, as it asks the kernel
            self._marked_at, self._busy_at = self._woken_at, self._busy()

    def _since_mark(self) -> float:
        return self._clock() - self._marked_at

    def _record(self, pause: float) -> None:
        self.pauses.count += 1
        self.pauses.total += pause
        self.pauses.longest = max(self.pauses.longest, pause)
        place = self._sample[1] if self._sample is not None and self.sampled else "an unknown place"
        logger.warning("the event loop stood still for %.0f ms in %s", pause * 1000, place)

    # In the watchdog's thread

    def _watch(self) -> None:
        while not self._closed.wait(REST_SECONDS):
            turn = self._turn
            if self._waiting or self.sampled or self._clock() - self._woken_at < LIMIT_SECONDS:
                continue
            frame = sys._current_frames().get(self._watched)
            # In ``select`` it waits: for the processor, if events are there.
            if frame is not None and frame.f_code.co_name not in ("select", "selected"):
                self._sample = turn, place_of(frame)


def place_of(frame: FrameType | None) -> str:
    """Return the innermost frames as ``function (file:line) < caller (file:line) < …``."""
    frames = []
    while frame is not None and len(frames) < MAX_FRAMES:
        file = "/".join(PurePath(frame.f_code.co_filename).parts[-2:])
        frames.append(f"{frame.f_code.co_name} ({file}:{frame.f_lineno})")
        frame = frame.f_back
    return " < ".join(frames)
