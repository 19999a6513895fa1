"""``python -m bench [section …] [--quick]``. Sections run one after the other: the machine is theirs."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import time

from bench.measure import machine

SECTIONS = (
    "startup",
    "first_token",
    "decode",
    "log",
    "fencing",
    "tools",
    "search",
    "conversations",
    "pace",
    "polling",
    "server",
    "people",
    "capacity",
    "crowd",
    "idle",
    "followers",
    "takeover",
    "transports",
    "page",
    "long_thread",
    "send",
    "stop",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"{', '.join(SECTIONS)} (all)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the load: for trying, not for quoting")
    asked = parser.parse_args()
    if unknown := [name for name in asked.sections if name not in SECTIONS]:
        parser.error(f"there is no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    print(f"Measured on {machine()}.")
    started = time.monotonic()
    for name in asked.sections or SECTIONS:
        section = importlib.import_module(f"bench.{name}")
        asyncio.run(section.run(asked.quick) if hasattr(section, "run") else section.main())
    print(f"Took {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
