"""A model that waits for its readers: proof that nothing is held back, which no slow machine can fail."""

from __future__ import annotations

import threading

from tests.support.vendor import Reply, Vendor

WORDS = [f"w{number:06d}" for number in range(1, 31)]


class InStep:
    """Makes ``vendor`` say a word only when the readers have the one before it, of which it is told by ``seen``."""

    def __init__(self, vendor: Vendor) -> None:
        self._turns = threading.Semaphore(1)
        self._count = 0
        vendor.answer = lambda _request: Reply([f"{word} " for word in WORDS], turns=self._turns)

    def seen(self, text: str) -> None:
        """Take what all readers have by now."""
        for word in WORDS[self._count :]:
            if word not in text:
                break
            self._count += 1
            self._turns.release()
