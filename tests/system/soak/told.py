"""What the simulator sent: its journal, read from time to time, because it keeps the newest requests only.

Knows the simulator's scripts, so that it can say how much of an answer had been sent by some moment. Rules: each
question begins with a key (``plan.KEY``). Where answers before it are empty, a request has several questions in its
last turn; the last of them is the one that is answered.
"""

from __future__ import annotations

import json
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamchat.simulator import script
from streamchat.simulator.request import Ask, Turn
from streamchat.simulator.steps import TOKENS, Text, joined
from tests.system.soak.plan import KEY


@dataclass(frozen=True)
class Sent:
    """One request and what was sent for it. Times are ``time.time()``; ``emits``: of each token, thoughts included."""

    scene: str
    message: str
    started: float
    text: str
    emits: list[float]
    closed_by: str | None
    closed_at: float

    @property
    def keys(self) -> list[str]:
        """The questions in it, the one that is answered last."""
        return KEY.findall(self.message)

    def text_before(self, moment: float, questions: Mapping[str, str]) -> str:
        """What of the text had been sent by then."""
        asked = "\n".join(questions[key] for key in self.keys)
        steps = script.plan(Ask(self.scene, (Turn("user", asked),)), 0).steps
        tokens = [step.text if isinstance(step, Text) else "" for step in steps if isinstance(step, TOKENS)]
        assert joined("".join(tokens[: len(self.emits)])) == self.text, "this is not the script that it plays"
        return joined("".join(tokens[: sum(at <= moment for at in self.emits)]))


class Told:
    """The journal of a simulator with these settings."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._url = f"{settings['OPENAI_BASE_URL'].removesuffix('/v1')}/_log"
        self._key = settings["OPENAI_API_KEY"]
        self._records: dict[int, dict[str, Any]] = {}

    def read(self) -> None:
        """Take in what is new, and what had not ended before."""
        ended = 0
        while self._records.get(ended + 1, {}).get("closed_by"):
            ended += 1
        headers = {"Authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(f"{self._url}?after={ended}&limit=200", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            for record in json.load(answer)["requests"]:
                self._records[record["id"]] = record

    @property
    def complete(self) -> bool:
        """Whether no request was missed and none is open."""
        numbers = set(range(1, len(self._records) + 1))
        return set(self._records) == numbers and all(record["closed_by"] for record in self._records.values())

    def requests(self) -> dict[str, list[Sent]]:
        """By the key of the question, oldest first."""
        found: dict[str, list[Sent]] = defaultdict(list)
        for _, record in sorted(self._records.items()):
            sent = Sent(**{name: record[name] for name in Sent.__dataclass_fields__})
            found[sent.keys[-1]].append(sent)
        return found
