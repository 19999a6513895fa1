"""Watchdog of an event loop: measures how long the loop stands still, and finds the place.

Knows nothing of what runs on the loop. Rules:

* A pause is a time in which the loop ran nothing else for more than ``LIMIT_SECONDS``. It is counted, and logged with
  the stack of the loop's thread during the pause.
* A process that the machine did not schedule is not a pause: then the loop's thread used no time, and the watchdog's
  own thread was late too.
* It costs one timer per ``INTERVAL_SECONDS``, and a wake-up of a thread when the timer of then would be late: nothing
  per token. Waking up is dear for a process that has little to do, so both are rare.
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

LIMIT_SECONDS = 0.05
INTERVAL_SECONDS = 0.05
MAX_FRAMES = 8
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Pauses:
    """Pauses of the loop since the start. ``longest`` and ``total``: seconds."""

    count: int = 0
    longest: float = 0.0
    total: float = 0.0


class Watchdog:
    """Watches the running loop from ``start`` to ``close``. ``clock`` and ``busy``: seconds, elapsed and of CPU."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        busy: Callable[[], float] = time.thread_time,
    ) -> None:
        self.pauses = Pauses()
        self._clock = clock
        self._busy = busy
        self._beats = 0
        self._beaten_at = self._busy_at = 0.0
        self._sample: tuple[int, str] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def sampled(self) -> bool:
        """Whether the place of the present pause is known."""
        return self._sample is not None and self._sample[0] == self._beats

    def start(self) -> None:
        """Start to watch the running loop. Call in its thread."""
        self._loop, self._watched = asyncio.get_running_loop(), threading.get_ident()
        self._rest()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop to watch. Call in the loop's thread; does not wait for the watchdog's thread."""
        self._closed.set()
        if self._timer is not None:
            self._timer.cancel()

    def beat(self) -> None:
        """Record the time since the last beat. The loop's timer calls this."""
        pause = self._clock() - self._beaten_at - INTERVAL_SECONDS
        if pause > LIMIT_SECONDS and (self.sampled or self._busy() - self._busy_at > pause / 2):
            self._record(pause)
        self._rest()

    def _rest(self) -> None:
        self._beats += 1
        self._beaten_at, self._busy_at = self._clock(), self._busy()
        self._timer = self._loop.call_later(INTERVAL_SECONDS, self.beat)

    def _record(self, pause: float) -> None:
        self.pauses.count += 1
        self.pauses.total += pause
        self.pauses.longest = max(self.pauses.longest, pause)
        place = self._sample[1] if self._sample is not None and self.sampled else "an unknown place"
        logger.warning("the event loop stood still for %.0f ms in %s", pause * 1000, place)

    # In the watchdog's thread

    def _watch(self) -> None:
        rest = INTERVAL_SECONDS + LIMIT_SECONDS
        while not self._closed.wait(rest):
            beats = self._beats
            late = self._clock() - self._beaten_at - INTERVAL_SECONDS
            rest = LIMIT_SECONDS - late
            if rest > 0:
                continue
            rest = INTERVAL_SECONDS
            # In ``select`` it waits: for the processor, if its timer is late.
            frame = None if self.sampled else sys._current_frames().get(self._watched)
            if frame is not None and frame.f_code.co_name != "select":
                self._sample = beats, place_of(frame)


def place_of(frame: FrameType | None) -> str:
    """Return the innermost frames as ``function (file:line) < caller (file:line) < …``."""
    frames = []
    while frame is not None and len(frames) < MAX_FRAMES:
        file = "/".join(PurePath(frame.f_code.co_filename).parts[-2:])
        frames.append(f"{frame.f_code.co_name} ({file}:{frame.f_lineno})")
        frame = frame.f_back
    return " < ".join(frames)
