"""Script of a response: from a request to one lazy sequence of steps and their schedule.

Pure: no clock, no socket, no format. Rules:

* The scene sets the defaults, and options in the message override them. A message without options that follows an
  unfinished answer continues that answer: the script then starts where it ends.
* A fault occurs after ``at`` tokens of the *whole* answer, so a continuation beyond them succeeds.
* ``ok_after=k``: the first k requests with this message fail, later ones succeed.
* Token i is due ``ttft + i / rate`` after the request, so the schedule does not drift if a write is late. ``jitter=j``
  makes each up to j ms later, by chance; the first token and the average rate stay what they are.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

from streamchat.simulator import replay, texts, words
from streamchat.simulator.calls import choose, example, fragments
from streamchat.simulator.request import ANY_TOOL, Ask
from streamchat.simulator.scenes import DECLINED, PLAIN, SCENES, Scene
from streamchat.simulator.steps import (
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
    """Plan of one response.

    ``steps`` can be iterated once. ``before``: a fault that replaces the answer. ``after``: a fault at its end.
    ``ttft``: seconds to the first token. ``rate``: tokens per second, 0 for no delay. ``times``: of each token,
    in seconds from the request, if it has a schedule of its own.
    """

    steps: Iterator[Step]
    before: str | None
    ttft: float
    rate: float
    chunk: str
    words: words.Words
    after: str | None = None
    times: tuple[float, ...] = ()

    def due(self, token: int) -> float:
        """Return the seconds from the request until the token with this index, from 0, is due."""
        if self.times:
            return self.times[min(token, len(self.times) - 1)]
        late = self.words.jitter / 1000 * _chance(self.words.seed, token) if self.words.jitter and token else 0
        return self.ttft + (token / self.rate if self.rate else 0) + late


def _chance(seed: int, token: int) -> float:
    """Return a number from 0 to 1 that is the same for the same seed and token."""
    return random.Random(f"{seed}/{token}").random()


def plan(ask: Ask, attempt: int, salt: str = "") -> Script:
    """Return the script for a request.

    ``attempt``: number of earlier requests with this message. ``salt`` makes the identifiers of tool calls unique.
    Raises ``UnknownWord`` for an invalid option, ``KeyError`` for an unknown scene.
    """
    scene = SCENES[ask.scene]
    if ask.scene == "replay" and (replayed := _replay(ask)):
        return replayed
    message, partial = _message_and_partial(ask)
    options = words.parse(message)
    if isinstance(ask.seed, int) and "seed" not in words.find(message):
        options = replace(options, seed=abs(ask.seed))
    fault = options.fault or scene.fault
    if fault and options.ok_after is not None and attempt >= options.ok_after:
        fault = None
    at = options.at if options.at is not None else (scene.at if fault == scene.fault else 20)
    steps = _steps(ask, scene, options, message, partial, salt)
    if fault in words.DURING:
        steps = _with_fault(steps, fault, max(0, at - _count(scene, options, message, partial)), beyond=bool(partial))
    if fault == "no-done":
        steps = (End(s.reason, marker=False) if isinstance(s, End) else s for s in steps)
    if ask.stop:
        steps = _stopped(steps, ask.stop)
    if ask.max_tokens is not None:
        steps = _limited(steps, ask.max_tokens)
    return Script(
        steps=steps,
        before=fault if fault in words.BEFORE else None,
        ttft=options.ttft / 1000 if options.ttft is not None else scene.ttft,
        rate=options.rate if options.rate is not None else scene.rate,
        chunk=options.chunk or scene.chunk,
        words=options,
        after=fault if fault in words.AFTER else None,
    )


def _replay(ask: Ask) -> Script | None:
    """Return the script of the recording in the message; ``None`` if there is none. Raises ``UnknownWord``."""
    message, recording = replay.find(ask.message)
    if recording is None:
        return None
    options = words.parse(message)
    times = tuple(at / options.speed if options.speed else 0.0 for at in recording.times)
    return Script(iter(recording.steps), None, 0, 0, options.chunk or "token", options, times=times)


def counter_key(ask: Ask) -> tuple[str, str]:
    """Return the key for counting attempts: scene and message. Requests with the same key repeat each other."""
    return ask.scene, _message_and_partial(ask)[0]


def _message_and_partial(ask: Ask) -> tuple[str, str]:
    """Return the message that determines the answer, and the partial answer to continue, or an empty text."""
    message = ask.message
    users = [i for i, turn in enumerate(ask.turns) if turn.role == "user"]
    if ask.turns and ask.turns[-1].role == "assistant":  # a prefill: the last turn is the start of the answer
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
    offset = 0
    for piece in pieces:
        if offset >= len(partial):
            return True
        if not partial.startswith(piece[: len(partial) - offset], offset):
            return False
        offset += len(piece)
    return False


def _count(scene: Scene, options: words.Words, message: str, partial: str) -> int:
    """Return the number of complete tokens in the partial answer."""
    offset = number = 0
    for piece in _pieces(scene, options, message) if partial else ():
        if (offset := offset + len(piece)) > len(partial):
            break
        number += 1
    return number


def _pieces(scene: Scene, options: words.Words, message: str) -> Iterator[str]:
    kind = options.kind or ("numbered" if options.n is not None else None)
    n = options.n if options.n is not None else scene.n
    if kind == "numbered":
        return texts.numbered(n)
    if kind == "echo":
        rest = texts.tokens(message.partition("\n")[2])
        return islice(rest, options.n) if options.n is not None else rest
    if kind == "markdown" or not (scene.text or scene.fault or scene.calls):
        return texts.markdown(n, options.seed)
    if scene.chunk == "split":
        return _split_surrogates(scene.text)
    return texts.tokens(scene.text or PLAIN)


def _split_surrogates(text: str) -> Iterator[str]:
    """Return tokens in which every other character beyond the BMP is split into two surrogates, one per token."""
    cut = True
    for piece in texts.tokens(text):
        index = next((i for i, char in enumerate(piece) if ord(char) > 0xFFFF), None)
        if index is not None and cut:
            units = piece[index].encode("utf-16-le")
            yield piece[:index] + units[:2].decode("utf-16-le", "surrogatepass")
            yield units[2:].decode("utf-16-le", "surrogatepass") + piece[index + 1 :]
        else:
            yield piece
        cut = cut ^ (index is not None)


def _steps(ask: Ask, scene: Scene, options: words.Words, message: str, partial: str, salt: str) -> Iterator[Step]:
    calls = options.calls if options.calls is not None else len(options.tools) or scene.calls
    if ask.tool_choice:
        calls = calls or 1
        options = options if ask.tool_choice == ANY_TOOL else replace(options, tools=(ask.tool_choice,))
    if ask.one_call:
        calls = min(calls, 1)
    if ask.schema is not None:
        text = json.dumps(example(ask.schema), ensure_ascii=False)
        return chain(map(Text, texts.tokens(text)), (End(),))
    if calls and not ask.results:
        return _call_steps(ask, calls, options, salt)
    if calls:
        quoted = "\n".join(f"- `{' '.join(result.split())[:200]}`" for result in ask.results)
        text = f"The tools answered:\n\n{quoted}\n\nThat is all I needed to know."
        return chain(map(Text, texts.tokens(text)), (End(),))
    thinking: Iterable[Step] = ()
    if scene.reasoning and not partial:
        seal = ReasoningEnd(signature="c2lnbmVkLWJ5LXRoZS1zaW11bGF0b3I=", redacted="aGlkZGVuLXRob3VnaHRz")
        thinking = chain(map(Reasoning, texts.tokens(scene.reasoning)), (seal,))
    return chain(thinking, map(Text, texts.skip(_pieces(scene, options, message), len(partial))), (End(),))


def _call_steps(ask: Ask, count: int, options: words.Words, salt: str) -> Iterator[Step]:
    calls = choose(ask.tools, count, options.args, salt, options.tools)
    yield from map(Text, texts.tokens("Let me look that up."))
    for index, call in enumerate(calls):
        yield CallStart(index, call.call_id, call.name)
    size = 4096 if options.args == "big" else 5
    queues = [(i, iter(fragments(call.arguments, size))) for i, call in enumerate(calls)]
    while queues:  # one fragment of each call in turn, as parallel calls arrive
        remaining = []
        for index, queue in queues:
            if (fragment := next(queue, None)) is None:
                yield CallEnd(index)
            else:
                yield Arguments(index, fragment)
                remaining.append((index, queue))
        queues = remaining
    yield End("tool-calls")


def _with_fault(steps: Iterator[Step], fault: str, after: int, *, beyond: bool) -> Iterator[Step]:
    """Yield the steps up to ``after`` tokens, then the fault.

    ``beyond``: the script continues an answer; if that has already passed the fault (``after`` is 0), there is none.
    """
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


def _stopped(steps: Iterator[Step], stop: tuple[str, ...]) -> Iterator[Step]:
    """End the answer before the first of these texts. What may be the beginning of one waits for the next token."""
    pending = ""
    longest = max(map(len, stop))
    for step in steps:
        if not isinstance(step, Text):
            if pending:
                yield Text(pending)
                pending = ""
            yield step
            continue
        pending += step.text
        if ends := [at for text in stop if (at := pending.find(text)) >= 0]:
            if before := pending[: min(ends)]:
                yield Text(before)
            yield End("stop")
            return
        wait = next((n for n in range(min(longest, len(pending)), 0, -1) if _may_begin(pending[-n:], stop)), 0)
        if ready := pending[: len(pending) - wait]:
            yield Text(ready)
            pending = pending[len(ready) :]


def _may_begin(text: str, stop: tuple[str, ...]) -> bool:
    return any(one.startswith(text) for one in stop)


def _limited(steps: Iterator[Step], limit: int) -> Iterator[Step]:
    number = 0
    for step in steps:
        if isinstance(step, TOKENS):
            if number >= limit:
                yield End("length")
                return
            number += 1
        yield step
