"""Free ports for servers that start a moment later.

Rule: they lie below the range from which the kernel takes ports for outgoing connections (from 32768 on), so that a
connection of somebody else cannot take one before its server listens. Each process begins somewhere else, also one that
is forked.
"""

from __future__ import annotations

import os
import random
import socket

FIRST, LAST = 10_000, 32_000
_next = FIRST


def _begin_somewhere() -> None:
    global _next
    _next = random.SystemRandom().randrange(FIRST, LAST)


_begin_somewhere()
os.register_at_fork(after_in_child=_begin_somewhere)


def free_port() -> int:
    """A port on loopback that nobody listens on just now, and that this process has not handed out lately."""
    global _next
    for _ in range(LAST - FIRST):
        port, _next = _next, _next + 1 if _next + 1 < LAST else FIRST
        if _is_free(port):
            return port
    raise AssertionError("there is no free port")


class Ports:
    """Ports for servers that run one after the other: a browser keeps what it has compiled by the address, so a page
    costs it half of the work where another server was."""

    def __init__(self) -> None:
        self._left: list[int] = []

    def take(self) -> int:
        """A port that was used before, if one is free."""
        while self._left:
            if _is_free(port := self._left.pop()):
                return port
        return free_port()

    def give_back(self, port: int) -> None:
        """Its server has ended."""
        self._left.append(port)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
