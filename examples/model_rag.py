"""Answers from the text files of a folder, with nothing but the standard library.

DOCS=docs streamchat run examples/model_rag.py

Finds the paragraphs that share the rarest words with the question, cites them as sources, and quotes them. With a
model of your own in place of the last loop, they are the context of its prompt.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from pathlib import Path

from streamchat import ReasoningDelta, SourceAdded, model

FOLDER = Path(os.environ.get("DOCS", "docs"))


def words(text: str) -> list[str]:
    return re.findall(r"\w{3,}", text.lower())


def paragraphs() -> list[tuple[Path, str]]:
    files = sorted(path for path in FOLDER.rglob("*") if path.suffix in (".md", ".txt"))
    texts = ((path, path.read_text(errors="replace")) for path in files)
    return [(path, block.strip()) for path, text in texts for block in re.split(r"\n\s*\n", text) if words(block)]


@model(label="Ask the documents")
def documents(request):
    """Quotes the paragraphs of a folder that fit the question."""
    all_of_them = paragraphs()
    yield ReasoningDelta(f"Searching {len(all_of_them)} paragraphs in {FOLDER} …")
    known = Counter(word for _, text in all_of_them for word in set(words(text)))
    asked = set(words(request.text))

    def score(text: str) -> float:
        return sum(math.log(len(all_of_them) / known[word] + 1) for word in asked & set(words(text)))

    best = sorted(all_of_them, key=lambda one: score(one[1]), reverse=True)[:3]
    best = [(path, text) for path, text in best if score(text)]
    for path, _ in best:
        yield SourceAdded(path.resolve().as_uri(), path.name)
    yield "\n\n".join(f"**{path.name}**\n\n{text}" for path, text in best) or "Nothing in the documents fits."
