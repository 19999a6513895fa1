"""Generated texts, as lazy tokens about a word long.

Knows nothing of scenes or timing. Rules: deterministic for a seed; ``"".join(tokens(text)) == text``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice

_TOKEN = re.compile(r" ?[^\W_]{1,12}|\n+| ?[^\s\w]{1,3}| +|.", re.DOTALL)


def tokens(text: str) -> Iterator[str]:
    """Split a text as a model's tokeniser would: a word with the space before it, or a few punctuation marks."""
    return (match.group() for match in _TOKEN.finditer(text))


def numbered(n: int) -> Iterator[str]:
    """Yield n numbered tokens, ``w000001 w000002 …``, which make lost, repeated or reordered tokens visible."""
    return (f"{' ' if i else ''}w{i + 1:06d}" for i in range(n))


def markdown(n: int, seed: int) -> Iterator[str]:
    """Yield n tokens of typical Markdown: headings, paragraphs, lists, tables, code, quotes."""
    return islice((token for block in _blocks(random.Random(seed)) for token in tokens(block)), n)


def skip(pieces: Iterable[str], length: int) -> Iterator[str]:
    """Yield the tokens without their first ``length`` characters."""
    for piece in pieces:
        if length < len(piece):
            yield piece[length:]
        length = max(0, length - len(piece))


_NOUNS = (
    "answer buffer cache channel client connection cursor deadline delta event frame gap heartbeat index journal "
    "latency log message packet page parser pipe prompt queue reader request retry row run sequence server session "
    "snapshot socket state stream table task timer token transcript worker writer"
).split()
_VERBS = "appends carries closes follows holds keeps merges numbers paints reads repeats resumes sends stores".split()
_ADVERBS = "at once|in order|without a gap|when it can|exactly once|under load|for every reader|by default".split("|")
_ADJECTIVES = "bounded cold durable eager fresh gradual idle live local narrow partial plain quiet slow steady".split()
_LANGUAGES: dict[str, Callable[[random.Random], str]] = {
    "python": lambda r: (
        f"async def follow_{r.choice(_NOUNS)}(after: int = {r.randint(0, 99)}):\n"
        f"    async for {r.choice(_NOUNS)} in log.read(after):\n"
        f'        yield f"{{{r.choice(_NOUNS)}}}: {r.choice(_ADJECTIVES)}"  # {_sentence(r)}\n'
    ),
    "javascript": lambda r: (
        f"const {r.choice(_NOUNS)} = new EventSource('/api/runs/{r.randint(1, 999)}/events');\n"
        f"{r.choice(_NOUNS)}.onmessage = ({{ data }}) => {{\n  console.log(data.length);\n}};\n"
    ),
    "sql": lambda r: (
        f"SELECT id, {r.choice(_NOUNS)}, {r.choice(_ADJECTIVES)}\n  FROM {r.choice(_NOUNS)}s\n"
        f" WHERE seq > {r.randint(1, 5000)}\n ORDER BY seq;\n"
    ),
    "bash": lambda r: f"curl -N http://localhost:3000/stream?query={r.choice(_NOUNS)}\n",
}


def _sentence(r: random.Random) -> str:
    return (
        f"the {r.choice(_ADJECTIVES)} {r.choice(_NOUNS)} {r.choice(_VERBS)} the {r.choice(_NOUNS)} {r.choice(_ADVERBS)}"
    )


def _styled(r: random.Random) -> str:
    text = _sentence(r)
    match r.randrange(6):
        case 0:
            return f"**{text}**"
        case 1:
            return f"{text}, see [{r.choice(_NOUNS)} {r.choice(_NOUNS)}](https://example.com/{r.choice(_NOUNS)})"
        case 2:
            return f"{text} through `{r.choice(_NOUNS)}_{r.choice(_NOUNS)}`"
        case 3:
            return f"*{text}*"
    return text


def _paragraph(r: random.Random) -> str:
    return " ".join(f"{text[:1].upper()}{text[1:]}." for text in (_styled(r) for _ in range(r.randint(2, 5))))


def _list(r: random.Random) -> str:
    mark: Callable[[int], str] = (lambda i: f"{i}. ") if r.random() < 0.4 else (lambda i: "- ")
    lines = []
    for i in range(1, r.randint(3, 6)):
        lines.append(f"{mark(i)}{_styled(r)}")
        if r.random() < 0.25:
            lines.append(f"   - {_sentence(r)}")
    return "\n".join(lines)


def _table(r: random.Random) -> str:
    heads = r.sample(_NOUNS, 3)
    lines = [f"| {' | '.join(heads)} |", "| --- | ---: | :--- |"]
    for _ in range(r.randint(3, 6)):
        lines.append(f"| {r.choice(_NOUNS)} | {r.randint(1, 9999)} | `{r.choice(_ADJECTIVES)}` {r.choice(_ADVERBS)} |")
    return "\n".join(lines)


def _code(r: random.Random) -> str:
    language = r.choice(list(_LANGUAGES))
    return f"```{language}\n{_LANGUAGES[language](r)}```"


def _blocks(r: random.Random) -> Iterator[str]:
    makers = (_paragraph, _paragraph, _list, _table, _code, lambda r: f"> {_paragraph(r)}")
    for number in count():
        if number % 5 == 0:
            title = f"{r.choice(_ADJECTIVES)} {r.choice(_NOUNS)} {number // 5 + 1}"
            yield f"{'#' * (2 if number % 10 else 3)} {title.capitalize()}\n\n"
        yield f"{r.choice(makers)(r)}\n\n"
