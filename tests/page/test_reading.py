"""What is painted while an answer arrives, after it, and after a reload."""

from __future__ import annotations

import pytest

from tests.page.chat import Chat, Wire

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
MARKDOWN = "n=500 rate=250 kind=markdown seed=5"
WATCH = """() => {
  window.mutations = 0;
  window.replaced = [];
  const messages = [...document.querySelectorAll('[data-testid=message]')];
  for (const old of messages.slice(0, 2)) {
    new MutationObserver((list) => (window.mutations += list.length)).observe(old,
      {subtree: true, childList: true, characterData: true, attributes: true});
  }
  const known = new Map();
  const look = () => {
    const blocks = [...document.querySelectorAll('[data-testid=message]:nth-of-type(4) .block')];
    if (blocks.length < known.size) window.replaced.push('fewer');
    blocks.forEach((block, i) => {
      if (known.has(i) && known.get(i) !== block) window.replaced.push(i);
      known.set(i, block);
    });
    window.blocks = known.size;
    requestAnimationFrame(look);
  };
  look();
}"""


def test_an_answer_touches_nothing_that_is_done(chat: Chat) -> None:
    """While an answer streams older messages are not touched, its blocks stay the same elements and never get fewer;
    a fresh load shows the same elements."""
    chat.open().send(MARKDOWN)
    chat.wait_for(2, "finished")
    chat.send(MARKDOWN.replace("seed=5", "seed=6"))
    chat.wait_for(4, "streaming")
    chat.page.evaluate(WATCH)
    chat.wait_for(4, "finished")
    assert chat.page.evaluate("window.replaced") == []
    assert chat.page.evaluate("window.mutations") == 0
    assert chat.page.evaluate("window.blocks") > 5
    streamed = chat.messages()
    chat.page.reload()
    chat.wait_for(4, "finished")
    assert chat.messages() == streamed


def test_lost_frames_and_cut_connections_heal(chat: Chat, wire: Wire) -> None:
    """Frames that never arrived and sockets that were cut leave no trace in what is shown."""
    chat.open().send("n=400 rate=80 kind=markdown seed=8")
    chat.wait_for_more(20)
    wire.mute = True
    chat.page.wait_for_timeout(300)
    wire.mute = False
    for _ in range(3):
        had = chat.answer_length()
        wire.cut()
        chat.wait_for_more(had)
    chat.wait_for(2, "finished")
    streamed = chat.messages()
    chat.page.reload()
    chat.wait_for(2, "finished")
    assert chat.messages() == streamed


def test_a_text_that_goes_on_is_one_text(chat: Chat) -> None:
    """Continue goes on in the middle of a sentence: it is one answer, and the seam is said beside it."""
    chat.open("simulator:cut").send("Hello")
    chat.wait_for(2, "interrupted")
    assert chat.page.get_by_test_id("error").is_visible()
    partial = chat.page.get_by_test_id("answer").inner_text()
    chat.page.get_by_test_id("continue").click()
    chat.wait_for(2, "finished")
    answers = chat.page.get_by_test_id("answer")
    assert answers.count() == 1
    assert answers.inner_text().startswith(partial)
    assert len(answers.inner_text()) > len(partial)


def test_reasoning_stays_as_the_reader_left_it(chat: Chat) -> None:
    """Closed at first; once opened it stays open through every delta, the end and a reload. No part of the answer."""
    chat.open("simulator:reasoning").send("Think, please. rate=20")
    panel = chat.page.locator(".reasoning")
    panel.wait_for()
    assert panel.get_attribute("open") is None
    panel.locator("summary").click()
    chat.wait_for(2, "finished")
    assert panel.get_attribute("open") is not None
    chat.page.reload()
    chat.wait_for(2, "finished")
    thoughts = panel.locator(".panel-body").inner_text()
    assert thoughts
    assert thoughts[:20] not in chat.page.get_by_test_id("answer").inner_text()


def test_a_very_long_answer_does_not_hold_up_the_page(chat: Chat) -> None:
    """200,000 characters are rendered in pieces: no task holds the page up for a second."""
    chat.open().send("n=52000 rate=1000000 kind=markdown seed=9")
    chat.wait_for(2, "finished")
    chat.page.add_init_script(
        "window.longest = 0; new PerformanceObserver((list) => {"
        " for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration) })"
        ".observe({type: 'longtask', buffered: true})"
    )
    chat.page.reload()
    chat.wait_for(2, "finished")
    assert sum(map(len, chat.messages())) > 200_000
    assert chat.page.evaluate("window.longest") < 1000
    assert chat.left() <= 40
