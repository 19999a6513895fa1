"""Capabilities of model families, by name prefix, as data.

Knows no vendor: the adapters bring their tables. The first match holds; a name may carry a maker
before a slash (``openai/gpt-oss-20b``).
"""

from __future__ import annotations

from dataclasses import dataclass

from streamchat.providers.base import Capabilities


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models.

    ``output``: the maximum number of tokens of an answer, if the API requires one. ``thinking``: how thinking is
    requested: by ``effort`` or with a ``budget`` of tokens. ``reasoning_field``: the field in which the model wants its
    reasoning back in a tool loop.
    """

    prefixes: tuple[str, ...]
    capabilities: Capabilities
    output: int = 8192
    thinking: str = "effort"
    reasoning_field: str | None = None


class Families:
    """A table of families; ``other`` holds for names in none of them."""

    def __init__(self, *families: Family, other: Capabilities, output: int = 8192) -> None:
        self.families = families
        self._other = Family((), other, output)

    def find(self, model: str) -> Family:
        """Return the family of a model name."""
        name = model.lower().rpartition("/")[2]
        return next((family for family in self.families if name.startswith(family.prefixes)), self._other)

    def capabilities(self, model: str) -> Capabilities:
        """Return the capabilities of a model name."""
        return self.find(model).capabilities

    def table(self) -> str:
        """Return the table as Markdown, for the documentation."""
        lines = [
            "| models | reasoning | tools | images | PDF | schema | web search | context | continues | not sent |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        for family in (*self.families, self._other):
            has = family.capabilities
            names = ", ".join(f"`{prefix}…`" for prefix in family.prefixes) or "any other"
            marks = [
                "yes" if mark else "–"
                for mark in (has.reasoning, has.tools, has.images, has.documents, has.schema, has.web_search)
            ]
            context = f"{has.context:,}" if has.context else "–"
            lines.append(
                f"| {' | '.join([names, *marks, context, has.continues, ', '.join(sorted(has.refuses)) or '–'])} |"
            )
        return "\n".join(lines)
