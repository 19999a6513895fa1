"""What is painted while an answer arrives, after it, and after a reload."""

from __future__ import annotations

from streamchat.simulator.texts import markdown
from tests.browser.test_conversations import imported
from tests.support.chat_page import ChatPage
from tests.support.wire import Wire

MARKDOWN = "n=450 rate=180 kind=markdown seed=5"
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


def test_an_answer_touches_nothing_that_is_done(tab: ChatPage) -> None:
    """While an answer streams older messages are not touched, its blocks (paragraphs, lists, tables, code) stay the
    same elements and never get fewer; a fresh load shows the same elements."""
    tab.choose().send(MARKDOWN.replace("rate=180", "rate=0"))
    tab.wait_message(2, "finished")
    tab.send(MARKDOWN.replace("seed=5", "seed=6"))
    tab.wait_message(4, "streaming")
    tab.page.evaluate(WATCH)
    tab.wait_message(4, "finished")
    assert tab.page.evaluate("window.replaced") == []
    assert tab.page.evaluate("window.mutations") == 0
    assert tab.page.evaluate("window.blocks") > 8
    streamed = tab.settled_html()
    tab.page.reload()
    tab.wait_message(4, "finished")
    assert tab.settled_html() == streamed


def test_lost_frames_and_cut_connections_heal(tab: ChatPage, wire: Wire) -> None:
    """Frames that never arrived and sockets that were cut leave no trace in what is shown."""
    tab.choose().send("n=100 rate=20 kind=markdown seed=8")
    tab.wait_for_more(20)
    wire.mute = True
    tab.page.wait_for_timeout(300)
    wire.mute = False
    for _ in range(3):
        had = tab.answer_length()
        wire.cut()
        tab.wait_for_more(had)
    tab.wait_message(2, "finished")
    streamed = tab.settled_html()
    tab.page.reload()
    tab.wait_message(2, "finished")
    assert tab.settled_html() == streamed


def test_a_text_that_goes_on_is_one_text(tab: ChatPage) -> None:
    """Continue goes on in the middle of a sentence: it is one answer, and the seam is said beside it."""
    tab.choose("simulator:cut").send("Hello")
    tab.wait_message(2, "interrupted")
    assert tab.page.get_by_test_id("error").is_visible()
    partial = tab.page.get_by_test_id("answer").inner_text()
    tab.page.get_by_test_id("continue").click()
    tab.wait_message(2, "finished")
    answers = tab.page.get_by_test_id("answer")
    assert answers.count() == 1
    assert answers.inner_text().startswith(partial)
    assert len(answers.inner_text()) > len(partial)


def test_reasoning_stays_as_the_reader_left_it(tab: ChatPage) -> None:
    """Closed at first; once opened it stays open through every delta, the end and a reload. No part of the answer."""
    tab.choose("simulator:reasoning").send("Think, please. rate=20")
    panel = tab.page.locator(".reasoning")
    panel.wait_for()
    assert panel.get_attribute("open") is None
    panel.locator("summary").click()
    tab.wait_message(2, "finished")
    assert panel.get_attribute("open") is not None
    tab.page.reload()
    tab.wait_message(2, "finished")
    thoughts = panel.locator(".panel-body").inner_text()
    assert thoughts
    assert thoughts[:20] not in tab.page.get_by_test_id("answer").inner_text()


def test_a_very_long_answer_does_not_hold_up_the_page(tab: ChatPage) -> None:
    """200,000 characters are rendered in pieces: no task holds the page up for a second."""
    tab.open(f"/c/{imported(tab.served, 'Very long', 'A question', ''.join(markdown(52_000, seed=9)))}")
    tab.wait_message(2, "finished")
    assert sum(map(len, tab.settled_html())) > 200_000
    # In one task it takes a multiple of this, also on a machine that is busy with other tests.
    assert tab.seen()["longest"] < 2000
    assert tab.left() <= 40
