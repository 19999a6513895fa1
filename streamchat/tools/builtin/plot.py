"""``plot``: shows numbers to the user as a chart."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from streamchat.tools.definition import tool
from streamchat.tools.values import Plot, Series, ToolError

MAX_POINTS = 1000
Label = Annotated[str, Field(max_length=100)]


class Line(BaseModel):
    """A named row of values, one for each x."""

    name: Label
    values: Annotated[list[float], Field(max_length=MAX_POINTS)]


@tool
def plot(
    x: Annotated[list[float | Label], Field(min_length=1, max_length=MAX_POINTS)],
    series: Annotated[list[Line], Field(min_length=1, max_length=10)],
    kind: Literal["line", "bar", "area", "scatter"] = "line",
    title: Label = "",
    x_label: Label = "",
    y_label: Label = "",
) -> Plot:
    """Show a chart to the person. Use it when numbers are easier to see than to read.

    Args:
        x: The positions or labels along the x axis, in order.
        series: One or more rows of numbers, each as long as x.
        kind: How it is drawn.
        title: What the chart shows.
        x_label: What the x axis is, with its unit.
        y_label: What the y axis is, with its unit.
    """
    for line in series:
        if len(line.values) != len(x):
            raise ToolError(f"The series {line.name!r} has {len(line.values)} values for {len(x)} positions of x.")
    if len({line.name for line in series}) < len(series):
        raise ToolError("Each series needs a name of its own.")
    lines = [Series(line.name, list(zip(x, line.values, strict=True))) for line in series]
    return Plot(lines, kind, title, x_label, y_label)
