"""What happens in a soak, and when: decided beforehand, all of it from one seed.

Pure. Rules: the same seed gives the same steps; what a step meets at its time (an answer under way, a server that is
away) is the machine's doing, not the plan's.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.system.soak import LONG

CONVERSATIONS, READERS, PAGES = (20, 60, 4) if LONG else (5, 15, 1)
SERVER = -1
# A word costs CPU in everybody who reads it; an answer of few words lasts as long.
WORDS_A_SECOND = (8, 20) if LONG else (3, 7)
# Seconds that an answer takes at most, thoughts not counted; none is asked for so shortly before the end.
LONGEST = 8.0
KILLS = ((0.25, 0.35), (0.5, 0.6))  # where in the whole time the server is killed
# What a reader does to its tab, and how often beside the others.
ROUGH = {"reload": 3, "cut": 4, "leave": 3, "freeze": 1}
PAGE_ROUGH = {"reload": 3, "cut": 2, "leave": 2}
# The beginning of every question; none is there twice.
KEY = re.compile(r"\bc\d+q\d+\b")
# What one reader has echoed: signs of one to eleven UTF-16 units.
FOREIGN = "Grüße 你好 👩‍👩‍👧‍👦 नमस्ते 🏴‍☠️ **é** e\u0301 🇪🇺 `😀`"


@dataclass(frozen=True, order=True)
class Step:
    """``who``: a reader's number, or ``SERVER``. ``seconds``: for how long a reader that leaves stays away."""

    at: float
    who: int
    what: str
    text: str = ""
    scene: str = "tour"
    seconds: float = 0.0

    def __str__(self) -> str:
        who = "server" if self.who == SERVER else f"reader {self.who}"
        more = f" {self.scene}: {self.text.splitlines()[0]}" if self.text else ""
        return f"{self.at:6.2f} {who} {self.what}{more}"


def conversation_of(reader: int) -> int:
    """Three readers share a conversation: 0, 20 and 40 conversation 0, if there are 20."""
    return reader % CONVERSATIONS


def firsts(seed: int) -> list[Step]:
    """How each conversation begins: not by a page."""
    chance = random.Random(f"{seed} firsts")
    return [Step(0.0, CONVERSATIONS + number, "ask", _question(chance, number, 0)) for number in range(CONVERSATIONS)]


def steps(seed: int, seconds: float) -> list[Step]:
    """Everything after that, in the order of time."""
    chance = random.Random(seed)
    every: list[Step] = []
    for number in range(CONVERSATIONS):
        every += _conversation(chance, number, seconds)
    for reader in range(READERS):
        every += _reader(chance, reader, seconds)
    every += [Step(seconds * chance.uniform(*share), SERVER, "kill") for share in KILLS]
    return sorted(every)


def _conversation(chance: random.Random, number: int, seconds: float) -> Iterator[Step]:
    """Questions, also while an answer is under way, and Stop at any time, each by any of its readers."""
    at, asked = chance.uniform(0, 4), 0
    while at < seconds - LONGEST:
        asked += 1
        scene = "reasoning" if number >= PAGES and chance.random() < 0.2 else "tour"
        yield Step(at, _reader_of(chance, number), "ask", _question(chance, number, asked), scene)
        if chance.random() < 0.4:
            yield Step(at + chance.uniform(0, LONGEST / 2), _reader_of(chance, number), "stop")
        at += chance.uniform(3, 12)


def _reader(chance: random.Random, reader: int, seconds: float) -> Iterator[Step]:
    rough = PAGE_ROUGH if reader < PAGES else ROUGH
    at = chance.uniform(0, 15)
    while at < seconds:
        (what,) = chance.choices(list(rough), list(rough.values()))
        yield Step(at, reader, what, seconds=chance.uniform(0.2, 5))
        at += chance.uniform(5, 25)


def _reader_of(chance: random.Random, conversation: int) -> int:
    return chance.randrange(conversation, READERS, CONVERSATIONS)


def _question(chance: random.Random, conversation: int, number: int) -> str:
    """Short, so that the simulator's journal keeps all of it. Numbered words where a browser looks on; elsewhere also
    Markdown and foreign signs, and everywhere characters that are cut in two on their way."""
    rate = chance.randint(*WORDS_A_SECOND)
    count = round(rate * chance.uniform(1.5, LONGEST))
    kind = "numbered" if conversation < PAGES else chance.choice(("numbered", "markdown", "markdown", "echo"))
    chunk = chance.choice(("token", "token", "burst", "split"))
    line = f"c{conversation}q{number} n={count} rate={rate} kind={kind} chunk={chunk} seed={chance.randint(1, 999)} "
    line += f"ttft={chance.randint(0, 600)}"
    return f"{line}\n{FOREIGN}" if kind == "echo" else line
