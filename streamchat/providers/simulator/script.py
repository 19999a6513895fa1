"""From what was asked to what will be said: one lazy list of steps and the times they are due.

Pure: no clock, no socket, no format. Rules:

* The scene gives the defaults, the words of the message change them, and a message without words that follows
  an unfinished answer is a request to go on with it: the script then starts where that answer ends.
* A fault happens after ``at`` tokens of the *whole* answer, so a continuation beyond them comes through.
* ``ok_after=k``: the first k requests with this message meet the fault, the later ones do not.
* Token i is due ``ttft + i / rate`` after the request: the schedule does not drift when somebody is late.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from streamchat.providers.simulator import texts, words
from streamchat.providers.simulator.ask import Ask
from streamchat.providers.simulator.calls import choose, example, fragments
from streamchat.providers.simulator.scenes import DECLINED, PLAIN, SCENES, Scene
from streamchat.providers.simulator.steps import (
    TOKENS,
    Arguments,
    CallEnd,
    CallStart,
    End,
    Fault,
    Reasoning,
    ReasoningEnd,
    Refusal,
    Step,
    Text,
)

_REASONS = {"content-filter": "content-filter", "max-tokens": "length", "pause": "pause"}


@dataclass(frozen=True, slots=True)
class Script:
    """``before``: a fault that comes instead of an answer, ``after``: one of its end. ``steps`` can be read once."""

    steps: Iterator[Step]
    before: str | None
    ttft: float
    rate: float
    chunk: str
    words: words.Words
    after: str | None = None

    def due(self, token: int) -> float:
        """Seconds from the request until the token, counted from 0, is to be sent."""
        return self.ttft + (token / self.rate if self.rate else 0)


def plan(ask: Ask, attempt: int, salt: str = "") -> Script:
    """The script. ``attempt``: how often this message came before, from 0; ``salt`` makes the ids of its tool calls
    unique. Raises ``UnknownWord``, ``KeyError`` for an unknown scene."""
    scene = SCENES[ask.scene]
    message, partial = _asked(ask)
    said = words.parse(message)
    fault = said.fault or scene.fault
    if fault and said.ok_after is not None and attempt >= said.ok_after:
        fault = None
    at = said.at if said.at is not None else (scene.at if fault == scene.fault else 20)
    steps = _steps(ask, scene, said, message, partial, salt)
    if fault in words.DURING:
        steps = _with_fault(steps, fault, max(0, at - _count(scene, said, message, partial)), beyond=bool(partial))
    if fault == "no-done":
        steps = (End(s.reason, marker=False) if isinstance(s, End) else s for s in steps)
    if ask.max_tokens is not None:
        steps = _limited(steps, ask.max_tokens)
    return Script(
        steps=steps,
        before=fault if fault in words.BEFORE else None,
        ttft=said.ttft / 1000 if said.ttft is not None else scene.ttft,
        rate=said.rate if said.rate is not None else scene.rate,
        chunk=said.chunk or scene.chunk,
        words=said,
        after=fault if fault in words.AFTER else None,
    )


def counter_key(ask: Ask) -> tuple[str, str]:
    """Requests with the same key are attempts at the same answer."""
    return ask.scene, _asked(ask)[0]


def _asked(ask: Ask) -> tuple[str, str]:
    """The message that sets the answer, and the text of an unfinished answer to it that is to be continued."""
    message = ask.message
    users = [i for i, turn in enumerate(ask.turns) if turn.role == "user"]
    if ask.turns and ask.turns[-1].role == "assistant":  # a prefill: the last turn is the beginning of the answer
        return message, ask.turns[-1].text
    if len(users) >= 2 and not words.find(message):
        before, answer = ask.turns[users[-2]].text, ask.turns[users[-1] - 1]
        if answer.role == "assistant" and answer.text and _unfinished(ask.scene, before, answer.text):
            return before, answer.text
    return message, ""


def _unfinished(scene: str, message: str, partial: str) -> bool:
    try:
        pieces = _pieces(SCENES[scene], words.parse(message), message)
    except (KeyError, words.UnknownWord):
        return False
    place = 0
    for piece in pieces:
        if place >= len(partial):
            return True
        if not partial.startswith(piece[: len(partial) - place], place):
            return False
        place += len(piece)
    return False


def _count(scene: Scene, said: words.Words, message: str, partial: str) -> int:
    """How many tokens of the whole answer are in the partial one."""
    place = number = 0
    for piece in _pieces(scene, said, message) if partial else ():
        if (place := place + len(piece)) > len(partial):
            break
        number += 1
    return number


def _pieces(scene: Scene, said: words.Words, message: str) -> Iterator[str]:
    kind = said.kind or ("numbered" if said.n is not None else None)
    n = said.n if said.n is not None else scene.n
    if kind == "numbered":
        return texts.numbered(n)
    if kind == "echo":
        rest = texts.tokens(message.partition("\n")[2])
        return islice(rest, said.n) if said.n is not None else rest
    if kind == "markdown" or not (scene.text or scene.fault or scene.calls):
        return texts.markdown(n, said.seed)
    if scene.chunk == "split":
        return _halved(scene.text)
    return texts.tokens(scene.text or PLAIN)


def _halved(text: str) -> Iterator[str]:
    """Tokens in which every other character beyond the BMP is cut into its surrogate halves, one per token."""
    cut = True
    for piece in texts.tokens(text):
        spot = next((i for i, char in enumerate(piece) if ord(char) > 0xFFFF), None)
        if spot is not None and cut:
            units = piece[spot].encode("utf-16-le")
            yield piece[:spot] + units[:2].decode("utf-16-le", "surrogatepass")
            yield units[2:].decode("utf-16-le", "surrogatepass") + piece[spot + 1 :]
        else:
            yield piece
        cut = cut ^ (spot is not None)


def _steps(ask: Ask, scene: Scene, said: words.Words, message: str, partial: str, salt: str) -> Iterator[Step]:
    calls = said.calls if said.calls is not None else len(said.tools) or scene.calls
    if ask.schema is not None:
        text = json.dumps(example(ask.schema), ensure_ascii=False)
        return chain(map(Text, texts.tokens(text)), (End(),))
    if calls and not ask.results:
        return _calling(ask, calls, said, salt)
    if calls:
        quoted = "\n".join(f"- `{' '.join(result.split())[:200]}`" for result in ask.results)
        text = f"The tools answered:\n\n{quoted}\n\nThat is all I needed to know."
        return chain(map(Text, texts.tokens(text)), (End(),))
    thinking: Iterable[Step] = ()
    if scene.reasoning and not partial:
        seal = ReasoningEnd(signature="c2lnbmVkLWJ5LXRoZS1zaW11bGF0b3I=", redacted="aGlkZGVuLXRob3VnaHRz")
        thinking = chain(map(Reasoning, texts.tokens(scene.reasoning)), (seal,))
    return chain(thinking, map(Text, texts.skip(_pieces(scene, said, message), len(partial))), (End(),))


def _calling(ask: Ask, calls: int, said: words.Words, salt: str) -> Iterator[Step]:
    made = choose(ask.tools, calls, said.args, salt, said.tools)
    yield from map(Text, texts.tokens("Let me look that up."))
    for index, call in enumerate(made):
        yield CallStart(index, call.call_id, call.name)
    queues = [(i, iter(fragments(call.arguments, 4096 if said.args == "big" else 5))) for i, call in enumerate(made)]
    while queues:  # one fragment of each in turn, until all are told
        told = []
        for index, queue in queues:
            if (fragment := next(queue, None)) is None:
                yield CallEnd(index)
            else:
                yield Arguments(index, fragment)
                told.append((index, queue))
        queues = told
    yield End("tool-calls")


def _with_fault(steps: Iterator[Step], fault: str, after: int, *, beyond: bool) -> Iterator[Step]:
    """The steps until ``after`` tokens went by, then the fault. ``beyond``: a continuation that starts at or
    behind the fault's place has it behind itself."""
    if beyond and after == 0:
        yield from steps
        return
    number = 0
    for step in steps:
        if number >= after and isinstance(step, TOKENS) or isinstance(step, End):
            break
        number += isinstance(step, TOKENS)
        yield step
    if fault == "refusal":
        yield from map(Refusal, texts.tokens(DECLINED))
        yield End("refusal")
    elif fault in _REASONS:
        yield End(_REASONS[fault])
    else:
        yield Fault(fault)


def _limited(steps: Iterator[Step], limit: int) -> Iterator[Step]:
    number = 0
    for step in steps:
        if isinstance(step, TOKENS):
            if number >= limit:
                yield End("length")
                return
            number += 1
        yield step
