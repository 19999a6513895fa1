"""What a tab is sent that wants its pieces less often: frames, bytes and CPU of one answer at each pace."""

from __future__ import annotations

import json
import os
import tempfile
import time
from contextlib import aclosing
from typing import NamedTuple
from unittest.mock import patch

from bench.tables import number, show
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.identity import LOCAL_OWNER
from streamchat.settings import load_settings
from streamchat.ui.transcript import Transcript
from streamchat.wiring import Services, running_services

MODEL = "simulator:tour"
WORDS, RATE = 500, 50
# milliseconds, as assets/chat/store/pace.ts asks for them
PACES = (0, 100, 250, 1000)


class Sent(NamedTuple):
    frames: int
    size: int
    cpu: float


async def run(quick: bool) -> None:
    words = WORDS // 5 if quick else WORDS
    with tempfile.TemporaryDirectory() as folder:
        settings = {"STREAMCHAT_DATA_DIR": folder, "STREAMCHAT_MODELS": MODEL}
        with patch.dict(os.environ, settings):
            loaded = load_settings()
        async with running_services(loaded) as services:
            sent = {pace: await _answer(services, words, pace) for pace in PACES}
    show(
        f"One answer of {words} words at {RATE}/s, as frames for the page",
        ["ms between pieces", "frames", "bytes", "CPU, ms"],
        [
            [number(pace, 0), number(one.frames, 0), number(one.size, 0), number(one.cpu, 0)]
            for pace, one in sent.items()
        ],
        "0: every delta; 1,000: a hidden tab. CPU: of the whole process, the model's reader and the log included.",
    )


async def _answer(services: Services, words: int, pace: int) -> Sent:
    question = [TextPart(f"n={words} rate={RATE}")]
    begun = await services.runs.start(LOCAL_OWNER, NewRun(client_message_id=str(pace), parts=question, model=MODEL))
    transcript = Transcript(services, LOCAL_OWNER, begun.conversation_id)
    frames, size, cpu = 0, 0, time.process_time()
    async with aclosing(transcript.frames()) as sent:
        async for frame in sent:
            if frame is None or frame.get("k") == "rows":  # not for the page
                continue
            if frame.get("k") == "open":
                transcript.set_pace(pace / 1000)
                continue
            frames, size = frames + 1, size + len(json.dumps(frame, separators=(",", ":")))
            if frame.get("k") == "end":
                break
    return Sent(frames, size, 1000 * (time.process_time() - cpu))
