"""``python -m bench.peers [--quick]``: the page's loads and the way to the first word, with the peers in turn."""

from __future__ import annotations

import argparse
import asyncio

from bench import page, send
from bench.measure import machine
from bench.peers.install import PACKAGES, install

AI_SDK = ("-m", "bench.peers.serve")


async def run(quick: bool) -> None:
    await page.run(quick, {AI_SDK: "AI SDK"}, typing=False)
    await send.run(quick, {AI_SDK: "AI SDK"})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the load: for trying, not for quoting")
    asked = parser.parse_args()
    install()
    print(f"Measured on {machine()}. AI SDK {PACKAGES['ai']} with Streamdown {PACKAGES['streamdown']}, served by Bun.")
    asyncio.run(run(asked.quick))


if __name__ == "__main__":
    main()
