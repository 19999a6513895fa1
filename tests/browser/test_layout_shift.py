"""Nothing that somebody reads moves by itself: neither while an answer streams, nor when it ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.chat_page import ChatPage

# Each shift with what moved: the browser's own measure. What a person has just clicked may move things.
OBSERVE = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      if (hadRecentInput) continue;
      // A table takes the widths that its cells need: those beside a longer one move, as in any table.
      if (sources.every(({ node }) => node?.parentElement?.closest("table"))) continue;
      const moved = sources.map(({ node, previousRect, currentRect }) => {
        const element = node?.nodeType === 1 ? node : node?.parentElement;
        const name = element ? `${element.localName}.${element.className}` : "gone";
        return `${name} ${Math.round(currentRect.x - previousRect.x)},${Math.round(currentRect.y - previousRect.y)}`;
      });
      window.shifts.push([value, moved]);
    }
  }).observe({ type: "layout-shift" });
}"""


@pytest.fixture
def tab(tab: ChatPage) -> ChatPage:
    """With everything that moves."""
    tab.page.emulate_media(reduced_motion="no-preference")
    return tab


def shifts(chat: ChatPage) -> list[Any]:
    """Return the shifts since ``OBSERVE``, after the frames that follow an ending."""
    chat.paints(20)
    return chat.page.evaluate("window.shifts")


@pytest.mark.parametrize(
    ("model", "question"),
    [
        ("simulator:tour", "n=260 rate=130 kind=markdown seed=3"),
        ("simulator:reasoning", "Think. rate=120"),
    ],
)
def test_nothing_moves_while_an_answer_streams_or_ends(tab: ChatPage, model: str, question: str) -> None:
    """What is there stays in its place while words follow it, code is coloured, and the answer's buttons come; so does
    the answer before it."""
    tab.choose(model).send(f"{question} rate=0")
    tab.wait_message(2, "finished")
    tab.page.evaluate(OBSERVE)
    tab.send(question)
    tab.wait_message(4, "streaming")
    tab.wait_message(4, "finished")
    found = shifts(tab)
    assert found == []


def test_nothing_moves_above_where_somebody_reads(tab: ChatPage) -> None:
    """Scrolled up, the text in view stays where it is until the end, whatever comes below."""
    tab.choose().send("n=400 rate=2000 kind=markdown seed=3")
    tab.wait_message(2, "finished")
    tab.send("n=200 rate=66 kind=markdown seed=4")
    tab.wait_message(4, "streaming")
    tab.page.mouse.move(700, 400)
    tab.page.mouse.wheel(0, -600)
    tab.paints(10)
    top = tab.top()
    tab.page.evaluate(OBSERVE)
    tab.wait_message(4, "finished")
    found = shifts(tab)
    assert found == []
    assert tab.top() == top
