"""Families of models by the beginning of their names, as data.

Knows no vendor: the adapters bring their tables. The first match holds; a name may carry a maker
before a slash (``openai/gpt-oss-20b``).
"""

from __future__ import annotations

from dataclasses import dataclass

from streamchat.providers.base import Capabilities


@dataclass(frozen=True, slots=True)
class Family:
    """``output``: tokens that an answer may have at most, where the API must be told. ``thinking``: how
    thinking is asked for: by ``effort`` or with a ``budget`` of tokens. ``reasoning_field``: the field in
    which the model wants its reasoning back in a tool loop."""

    prefixes: tuple[str, ...]
    capabilities: Capabilities
    output: int = 8192
    thinking: str = "effort"
    reasoning_field: str | None = None


class Families:
    """A table of families, and what holds for a name that is in none."""

    def __init__(self, *families: Family, other: Capabilities, output: int = 8192) -> None:
        self.families = families
        self._other = Family((), other, output)

    def find(self, model: str) -> Family:
        name = model.lower().rpartition("/")[2]
        return next((family for family in self.families if name.startswith(family.prefixes)), self._other)

    def capabilities(self, model: str) -> Capabilities:
        return self.find(model).capabilities

    def table(self) -> str:
        """The table as Markdown, for the documentation."""
        lines = [
            "| models | reasoning | tools | images | schema | context | continues | not sent |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        for family in (*self.families, self._other):
            has = family.capabilities
            names = ", ".join(f"`{prefix}…`" for prefix in family.prefixes) or "any other"
            marks = ["yes" if mark else "–" for mark in (has.reasoning, has.tools, has.images, has.schema)]
            context = f"{has.context:,}" if has.context else "–"
            lines.append(
                f"| {' | '.join([names, *marks, context, has.continues, ', '.join(sorted(has.refuses)) or '–'])} |"
            )
        return "\n".join(lines)
