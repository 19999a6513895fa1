"""``python -m bench [section …] [--quick]``. Sections run one after the other: the machine is theirs."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import time

from bench.meter import machine

SECTIONS = ("start", "decode", "log", "tools", "search", "server", "transports", "page", "stop")


def main() -> None:
    there = [name for name in SECTIONS if importlib.util.find_spec(f"bench.{name}")]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"{', '.join(there)} (all)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the load: for trying, not for quoting")
    asked = parser.parse_args()
    if unknown := [name for name in asked.sections if name not in there]:
        parser.error(f"there is no section {unknown[0]!r}; there are {', '.join(there)}")
    print(f"Measured on {machine()}.")
    started = time.monotonic()
    for name in asked.sections or there:
        section = importlib.import_module(f"bench.{name}")
        asyncio.run(section.run(asked.quick) if hasattr(section, "run") else section.main())
    print(f"Took {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
