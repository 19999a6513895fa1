"""A model without a vendor's SDK, which takes a program that has just started a second of CPU to import. For servers
that are not forked, in tests to which it does not matter who answers.

``COUNT RATE`` is answered with so many numbered words, so many a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from streamchat import Request, model

COUNTING = {"STREAMCHAT_MODULES": __file__, "STREAMCHAT_MODELS": "simulator:tour,python:count"}


@model
async def count(request: Request) -> AsyncIterator[str]:
    words, rate = request.text.split()
    for number in range(1, int(words) + 1):
        await asyncio.sleep(1 / float(rate))
        yield f"w{number:06} "
