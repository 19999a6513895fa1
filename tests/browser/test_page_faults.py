"""Faults of chat pages from public reports that need layout, a clipboard, a translator, or a second tab."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from devservers.app import Served
from tests.browser.conftest import OpenPage
from tests.browser.test_conversations import imported
from tests.browser.test_tool_panel import Told, call
from tests.support.chat_page import SCROLLER, ChatPage
from tests.support.relay import Relay
from tests.support.vendor import Vendor, says
from tests.support.wire import Wire


@pytest.fixture
def told(tab: ChatPage, wire: Wire) -> Told:
    return Told(tab.choose(), wire)


def show(told: Told, text: str) -> Page:
    """An answer that is complete, with this text."""
    told.open({"type": "text", "text": text}, status="finished")
    told.page.locator(".answer .block").first.wait_for()
    return told.page


def piece(told: Told, offset: int, text: str) -> None:
    told.seq += 1
    told.wire.tell({"m": "a", "s": told.seq, "p": 0, "o": offset, "t": text})


# ---------------------------------------------------------------- selection


# The beginning of a paragraph of two lines or more in the middle of the view.
TEXT_IN_VIEW = """() => {
  const boxes = [...document.querySelectorAll("[data-testid=message] p")].map(p => p.getBoundingClientRect());
  const box = boxes.find(box => box.top > 120 && box.bottom < 500 && box.height > 40);
  return box && [box.left + 5, box.top + 8];
}"""


def test_a_selection_by_mouse_holds_the_view(chat: ChatPage, mark: str):
    """While the mouse is down nothing moves, and as long as text is selected neither; Jump to latest goes on."""
    chat.ask(f"{mark} n=200 rate=0 kind=markdown seed=2").wait_status("finished")
    chat.ask(f"{mark} n=5000 rate=30 kind=markdown seed=2").wait_status("streaming")
    page = chat.page
    page.wait_for_function(f"() => {SCROLLER}.scrollTop > 300")
    # From one line of text to the next, wherever they are: what is under a fixed place depends on when it is looked at.
    x, y = page.wait_for_function(TEXT_IN_VIEW).json_value()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 100, y + 30, steps=5)
    # Where it is on the screen: what is coloured above it meanwhile may become higher, which moves nothing in view.
    held = "() => Math.round(getSelection().getRangeAt(0).getBoundingClientRect().top)"
    place, top = page.evaluate(held), chat.top()
    had = chat.answer_length()
    chat.wait_for_more(had + 200)
    assert page.evaluate(held) == place
    page.mouse.up()
    assert page.evaluate("getSelection().toString()")
    had = chat.answer_length()
    chat.wait_for_more(had + 200)
    assert page.evaluate(held) == place
    assert page.evaluate("getSelection().toString()"), "what was selected is selected"
    chat.jump_latest.click()
    page.wait_for_function(f"() => {SCROLLER}.scrollTop > {top} + 5")
    chat.stop_button.click()


def test_a_selection_in_the_open_block_stays(told: Told):
    """While the paragraph grows, and when code that streams is coloured at its end."""
    page = told.page
    told.open({"type": "text", "text": "The first words of a"})
    select = """(selector) => {
        const node = document.querySelector(selector);
        const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
        const text = walker.nextNode();
        getSelection().setBaseAndExtent(text, 0, text, 9);
    }"""
    page.locator(".answer .block p").wait_for()
    page.evaluate(select, ".answer .block p")
    selected = page.evaluate("getSelection().toString()")
    piece(told, 20, " paragraph that goes on")
    expect(page.locator(".answer")).to_contain_text("that goes on")
    assert page.evaluate("getSelection().toString()") == selected == "The first"
    told.open({"type": "text", "text": "```python\nprint('kept')\n"})
    page.locator(".code code").wait_for()
    page.evaluate(select, ".code code")
    selected = page.evaluate("getSelection().toString()")
    piece(told, 24, "x = 1\n```\n\nAfter.")
    page.locator("[class*=hljs]").first.wait_for()
    assert page.evaluate("getSelection().toString()") == selected


def test_zooming_does_not_end_following(chat: ChatPage, mark: str):
    """Ctrl and the wheel, or two fingers, are no scroll."""
    chat.ask(f"{mark} n=200 rate=0 kind=markdown seed=2").wait_status("finished")
    chat.ask(f"{mark} n=5000 rate=30 kind=markdown seed=2").wait_status("streaming")
    page = chat.page
    page.wait_for_function(f"() => {SCROLLER}.scrollTop > 300")
    page.evaluate(
        f"""() => {{
            const zoom = {{ deltaY: -120, ctrlKey: true, bubbles: true, cancelable: true }};
            {SCROLLER}.dispatchEvent(new WheelEvent("wheel", zoom));
            const target = {SCROLLER};
            const finger = (identifier, clientY) => new Touch({{ identifier, target, clientX: 9, clientY }});
            const touches = (y) => [finger(1, y), finger(2, 400)];
            for (const [type, y] of [["touchstart", 100], ["touchmove", 200]])
                {SCROLLER}.dispatchEvent(new TouchEvent(type, {{ touches: touches(y), bubbles: true }}));
        }}"""
    )
    chat.wait_for_more(chat.answer_length() + 200)
    assert chat.left() <= 40
    assert chat.jump_latest.count() == 0
    chat.stop_button.click()


def test_a_copy_across_messages_has_their_text_only(open_page: OpenPage, tab: ChatPage):
    """No headings for screen readers, no names of languages or models, no buttons; also with everything selected."""
    text = "Before the code.\n\n```python\nprint('kept')\n```\n\nAfter the code."
    tab.open(f"/c/{imported(tab.served, 'Copied', 'The question.', text)}")
    page = tab.page
    page.locator("[class*=hljs]").first.wait_for()
    wanted = ["The question.", "Before the code.", "print('kept')", "After the code."]
    copied = """() => new Promise((done) => {
        document.addEventListener("copy", (event) => done(getSelection().toString()), { once: true });
        document.execCommand("copy");
    })"""
    page.evaluate(
        """() => {
            const last = [...document.querySelectorAll(".answer p")].at(-1).firstChild;
            getSelection().setBaseAndExtent(document.querySelector(".question .text").firstChild, 0, last, 15);
        }"""
    )
    assert (
        page.evaluate(copied).split("\n") == [*wanted]
        or [line for line in page.evaluate(copied).split("\n") if line] == wanted
    )
    page.get_by_role("region", name="Conversation").focus()
    page.evaluate(f"getSelection().selectAllChildren({SCROLLER})")
    assert [line for line in page.evaluate(copied).split("\n") if line] == wanted


# ---------------------------------------------------------------- a translator


def test_a_translator_freezes_nothing(planted: Served, vendor: Vendor, open_page: OpenPage, mark: str):
    """A browser replaces the text nodes of the page while an answer streams: what streams is left alone, no word is
    missing at the end, and the next question is answered."""
    words = "The *first* paragraph has **bold words** and goes on for a while until it ends with the word heron."
    text = f"{words}\n\nA second one ends with the word otter.\n\n- A list item that ends with the word badger.\n"
    vendor.answer = says(*re.findall(r"\S+\s*", text), pause=0.05)
    chat = open_page("/?model=openai:one", server=planted)
    chat.ask(mark)
    chat.wait_text("bold words")
    chat.page.evaluate(
        """() => {
            document.documentElement.classList.add("translated-ltr");
            const translate = () => {
                const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
                const nodes = [];
                while (walker.nextNode()) nodes.push(walker.currentNode);
                for (const node of nodes) {
                    const inside = node.parentElement;
                    if (!node.data.trim() || !inside.closest("[data-testid=answer]")) continue;
                    if (inside.closest("[translate=no], font")) continue;
                    const font = document.createElement("font");
                    font.append(document.createElement("font"));
                    font.firstChild.textContent = node.data;
                    node.replaceWith(font);
                }
            };
            setInterval(translate, 50);
        }"""
    )
    chat.wait_status("finished")
    for word in ("heron", "otter", "badger"):
        chat.wait_text(word)
    chat.ask(f"{mark} again").wait_status("finished")
    chat.wait_text("badger")


# ---------------------------------------------------------------- directions and layout

MIXED = """`npm install` را اجرا کنید و سپس صفحه را باز کنید.

הפקודה `./start.sh --all` מוחקת את הקבצים (זהירות!).

```bash
ls -la
```

- API: نقطة النهاية تستقبل الطلب.
- ثم افتح الصفحة الرئيسية.
- Plain English item.

| API | الوصف |
|---|---|
| GET | يعيد القائمة كاملة. |
| POST | ينشئ عنصرًا جديدًا. |
"""


def test_directions(told: Told):
    """Of paragraphs that begin with code, of items and cells, of code, of each line of a question, of the composer."""
    page = show(told, MIXED)
    styles = """(selector) => [...document.querySelectorAll(selector)].map((element) => {
        const { direction, unicodeBidi } = getComputedStyle(element);
        return [direction, unicodeBidi];
    })"""
    assert [style[0] for style in page.evaluate(styles, ".answer .block > p")] == ["rtl", "rtl"]
    assert page.evaluate(styles, ".answer p code") == [["ltr", "isolate"]] * 2
    assert page.evaluate(styles, ".answer pre code")[0][0] == "ltr"
    assert [style[0] for style in page.evaluate(styles, ".answer li")][1:] == ["rtl", "ltr"]
    assert [style[0] for style in page.evaluate(styles, ".answer td")] == ["ltr", "rtl", "ltr", "rtl"]
    places = page.evaluate(
        """() => [...document.querySelectorAll(".answer td")].map((cell) => {
            const range = document.createRange();
            range.selectNodeContents(cell);
            const [text, box] = [range.getBoundingClientRect(), cell.getBoundingClientRect()];
            return Math.round(text.left - box.left) > Math.round(box.right - text.right);
        })"""
    )
    assert places[1::2] == [True, True], "the text is at the right end of its cell"
    told.tab.composer.fill("أريد فتح Example Maps الآن؟")
    assert told.tab.composer.evaluate("e => getComputedStyle(e).direction") == "rtl"


def test_each_line_of_a_question_has_its_direction(tab: ChatPage):
    where = imported(tab.served, "Lines", "שלום\nplain English line", "x")
    tab.open(f"/c/{where}")
    assert tab.page.locator(".question .text").evaluate("e => getComputedStyle(e).unicodeBidi") == "plaintext"
    places = tab.page.locator(".question .text").evaluate(
        """(element) => [...element.firstChild.data.matchAll(/[^\\n]+/g)].map(({ 0: line, index }) => {
            const range = document.createRange();
            range.setStart(element.firstChild, index);
            range.setEnd(element.firstChild, index + line.length);
            const [text, box] = [range.getBoundingClientRect(), element.getBoundingClientRect()];
            return [Math.round(text.left - box.left), Math.round(box.right - text.right)];
        })"""
    )
    (_, first_right), (second_left, _) = places
    assert first_right <= 1
    assert second_left <= 1


LISTS = """1984. That was the year of the invented report, and this line is long enough to wrap on a phone.

99998. One more.
99999. And the last.

- [x] done
- [ ] open

1. one
   - nested
     - deeper

   after

Text[^1] and more.

[^1]: A note, invented.

| left | middle | right |
|:---|:---:|---:|
| 1 | 2 | 3 |
"""


def test_lists_notes_boxes_and_columns(told: Told):
    """On a phone: numbers of lists are not cut, nested lists are indented, a checked box looks checked, a footnote
    stands beside its mark, and columns are aligned."""
    told.page.set_viewport_size({"width": 390, "height": 844})
    page = show(told, LISTS)
    room = page.evaluate(
        """() => [...document.querySelectorAll(".answer ol[start]")].map((list) => {
            const probe = document.createElement("span");
            probe.textContent = `${list.start + list.children.length - 1}. `;
            list.firstElementChild.append(probe);
            const width = probe.getBoundingClientRect().width;
            probe.remove();
            return parseFloat(getComputedStyle(list).paddingInlineStart) - width;
        })"""
    )
    assert room
    assert min(room) >= 0
    lefts = page.evaluate(
        "[...document.querySelectorAll('.answer li')].filter(e => /^(one|nested|deeper)/.test(e.textContent))"
        ".map(e => e.getBoundingClientRect().left)"
    )
    assert lefts == sorted(set(lefts)), "each level is further in"
    boxes = page.evaluate(
        "[...document.querySelectorAll('.task-list-item input')].map(e => getComputedStyle(e).backgroundColor)"
    )
    assert len(set(boxes)) == 2, boxes
    places = page.evaluate(
        "[...document.querySelectorAll('.task-list-item input')].map(e =>"
        " e.getBoundingClientRect().top - e.parentElement.getBoundingClientRect().top)"
    )
    assert abs(places[0] - places[1]) <= 0.5, "a check mark moves its box"
    aligned = page.evaluate("[...document.querySelectorAll('.answer td')].map(e => getComputedStyle(e).textAlign)")
    assert aligned == ["start", "center", "end"] or aligned == ["left", "center", "right"]
    gaps = page.evaluate(
        """() => [...document.querySelectorAll(".answer .block")].slice(1).map((block) =>
            block.getBoundingClientRect().top - block.previousElementSibling.getBoundingClientRect().bottom)"""
    )
    assert all(4 <= gap <= 40 for gap in gaps), gaps
    mark, note = (
        page.locator(selector).last.bounding_box() for selector in (".footnote-mark", ".footnote > :last-child")
    )
    assert mark is not None
    assert note is not None
    assert note["x"] >= mark["x"] + mark["width"]
    assert note["y"] <= mark["y"] + mark["height"] / 2 <= note["y"] + note["height"], "on one line"
    assert page.locator(".scroller").evaluate("e => e.scrollWidth <= e.clientWidth")


def test_headings_are_below_those_of_the_page(tab: ChatPage):
    """One heading of the first level, which names the conversation; question and answer at the second; a model's own
    below them, and no level is skipped."""
    where = imported(tab.served, "Plans", "A plan?", "# Plan\n\nText.\n\n## Part one\n\n### Detail\n\nText.")
    tab.open(f"/c/{where}")
    tab.page.get_by_role("heading", name="Detail").wait_for()
    levels = tab.page.evaluate(
        "[...document.querySelectorAll('main, .main')][0] && "
        "[...document.querySelector('.main').querySelectorAll('h1, h2, h3, h4, h5, h6')]"
        ".map(e => [Number(e.tagName[1]), e.textContent])"
    )
    assert levels == [[1, "Plans"], [2, "You"], [2, "Answer"], [3, "Plan"], [4, "Part one"], [5, "Detail"]]


@pytest.mark.parametrize(("width", "height"), [(844, 390), (667, 375)])
def test_a_phone_on_its_side_has_room_for_text(phone: ChatPage, mark: str, width: int, height: int):
    """At least a third of the height is the conversation, and nothing scrolls sideways."""
    phone.page.set_viewport_size({"width": width, "height": height})
    chat = phone.open("/")
    chat.ask(f"{mark} n=200 rate=0 kind=markdown seed=3").wait_status("finished")
    assert chat.page.evaluate(f"{SCROLLER}.clientHeight") >= height / 3
    assert chat.page.evaluate("document.documentElement.scrollWidth") <= width
    expect(chat.composer).to_be_in_viewport()


def contrast(one: str, other: str) -> float:
    """The ratio of two colours as the browser computes them: ``rgb(1, 2, 3)``."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_borders_of_fields_can_be_seen(told: Told):
    """Each field's border differs from what is around it by 3:1, in both themes."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["a", "b"]}}}
    told.open(call("awaiting-approval", arguments={"city": "x"}, schema=schema), status="waiting")
    page = told.page
    page.get_by_test_id("parameters").click()
    page.get_by_test_id("system-prompt").wait_for()
    for theme in ("light", "dark"):
        page.evaluate("(theme) => { document.documentElement.className = theme; }", theme)
        around = page.evaluate("getComputedStyle(document.body).backgroundColor")
        fields = page.evaluate(
            """() => [...document.querySelectorAll(".box, .field, .approval :is(input[type=text], select, textarea)")]
                .filter((field) => field.checkVisibility())
                .map((field) => [field.className || field.tagName, getComputedStyle(field).borderTopColor])"""
        )
        assert len(fields) >= 4
        for name, colour in fields:
            assert contrast(colour, around) >= 3, (theme, name, colour)


def test_forced_colours_keep_arrows_and_the_current_row(told: Told, open_page: OpenPage):
    """With a system's own colours backgrounds are gone: the pickers have the browser's arrow, the current row of the
    list an outline, a panel its arrow."""
    chat = open_page(f"/c/{imported(told.tab.served, 'Current', 'q', 'a')}")
    page = chat.page
    page.emulate_media(forced_colors="active")
    current = page.locator("[data-testid=conversation-item][aria-current=page]")
    expect(current).to_have_css("outline-style", "solid")
    expect(chat.picker).to_have_css("appearance", "auto")
    told.page.emulate_media(forced_colors="active")
    told.open(call("running", arguments={"city": "Lima"}))
    arrow = (
        told.panel()
        .locator("summary")
        .evaluate(
            "e => { const { borderRightStyle, borderRightWidth } = getComputedStyle(e, '::after');"
            " return [borderRightStyle, parseFloat(borderRightWidth) > 0]; }"
        )
    )
    assert arrow == ["solid", True]


HAND_OVER = """([selector, event, text]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["x"], "note.txt", { type: "text/plain" }));
    if (text) transfer.setData("text/plain", text);
    const options = { bubbles: true, cancelable: true };
    const made = event === "paste"
        ? new ClipboardEvent("paste", { ...options, clipboardData: transfer })
        : new DragEvent(event, { ...options, dataTransfer: transfer });
    document.querySelector(selector).dispatchEvent(made);
    return made.defaultPrevented;
}"""


def test_a_file_is_never_opened_in_place_of_the_page(chat: ChatPage):
    """Dropped on the conversation, the list or the composer, it is attached, and the draft stays. What is pasted as
    text, with a picture of it, is text."""
    page = chat.page
    chat.composer.fill("draft")
    for number, selector in enumerate((".scroller", "#sidebar", "[data-testid=composer]"), 1):
        for event in ("dragover", "drop"):
            assert page.evaluate(HAND_OVER, [selector, event, ""]) is True, (selector, event)
        expect(page.get_by_test_id("attachment")).to_have_count(number)
    expect(chat.composer).to_have_value("draft")
    assert page.evaluate(HAND_OVER, ["[data-testid=composer]", "paste", "words"]) is False
    expect(page.get_by_test_id("attachment")).to_have_count(3)


# ---------------------------------------------------------------- endings, tabs, connections


def test_an_empty_answer_says_so(planted: Served, vendor: Vendor, open_page: OpenPage, mark: str):
    """A model that ends without a word: a sentence and Retry, and screen readers hear it instead of "0 words"."""
    vendor.answer = says("")
    chat = open_page("/?model=openai:one", server=planted)
    chat.ask(mark).wait_status("finished")
    expect(chat.answers.last.locator(".notice")).to_contain_text("empty")
    expect(chat.page.locator("[aria-live=polite]")).to_contain_text("empty")
    vendor.answer = says("Words now.")
    chat.retry_button.click()
    chat.wait_text("Words now")
    expect(chat.answers.last.get_by_test_id("branch")).to_have_attribute("data-count", "2")


def test_a_fast_first_answer_is_spoken(chat: ChatPage, mark: str):
    """Also if it is complete before its conversation is open here."""
    spoken = chat.page.locator("[aria-live=polite]")
    chat.ask(f"{mark} n=5 rate=0 ttft=0 kind=numbered").wait_status("finished")
    expect(spoken).to_have_text("Complete, 5 words")


def test_a_stopped_answer_says_what_was_kept(chat: ChatPage, mark: str):
    """Words, as a person counts them; and nothing of how it was sent."""
    chat.ask(f"{mark} n=500 rate=20 kind=numbered").wait_text("w000003")
    chat.stop_button.click()
    chat.wait_status("stopped")
    kept = len(chat.text().split())
    expect(chat.answers.last.locator(".notice")).to_have_text(f"Stopped · {kept} words kept.")
    chat.answers.last.get_by_test_id("details").locator("summary").click()
    chat.page.get_by_test_id("run-id").wait_for()
    assert not re.search(r"deltas|gaps|reconnects", chat.answers.last.inner_text())


def test_retry_keeps_the_old_answer(chat: ChatPage, mark: str):
    """As a version to which one can go back, with its words, also after a reload."""
    chat.ask(f"{mark} n=500 rate=20 kind=numbered").wait_text("w000005")
    chat.stop_button.click()
    chat.wait_status("stopped")
    kept = chat.words()
    chat.retry_button.click()
    expect(chat.answers.last).to_have_attribute("data-status", "streaming")
    chat.wait_text("w000002")
    chat.stop_button.click()
    chat.wait_status("stopped")
    for _ in range(2):
        branch = chat.answers.last.get_by_test_id("branch")
        expect(branch).to_have_attribute("data-count", "2")
        if branch.get_attribute("data-index") == "2":
            chat.page.get_by_test_id("branch-previous").click()
        expect(branch).to_have_attribute("data-index", "1")
        assert chat.words() == kept
        chat.page.reload()
        chat.ready()


def test_a_draft_survives_another_tab_that_closes(open_page: OpenPage, mark: str):
    """A tab that shows the draft as it was closes after more was written elsewhere; and what one tab sent does not come
    back from another."""
    first = open_page("/")
    first.ask(f"{mark} n=2 rate=0 kind=numbered").wait_status("finished")
    address = first.page.url
    first.composer.fill("alpha")
    first.page.wait_for_function("() => Object.values(localStorage).some((value) => value.includes('alpha'))")
    second = open_page(None)
    second.page.goto(address)
    expect(second.composer).to_have_value("alpha")
    first.composer.fill("alpha and more")
    first.page.wait_for_function("() => Object.values(localStorage).some((value) => value.includes('and more'))")
    second.page.close(run_before_unload=True)
    first.page.reload()
    expect(first.ready().composer).to_have_value("alpha and more")
    third = open_page(None)
    third.page.goto(address)
    expect(third.composer).to_have_value("alpha and more")
    first.composer.press("Enter")
    expect(first.questions).to_have_count(2)
    expect(third.composer).to_have_value("")
    third.page.close(run_before_unload=True)
    first.page.reload()
    expect(first.ready().composer).to_have_value("")


def test_a_refusal_goes_when_it_is_no_longer_true(told: Told):
    """A second window was told that an answer is under way: once that has ended, nothing says so any more. A message
    that was too long is not once it was shortened."""
    told.open({"type": "text", "text": "One"})
    told.wire.tell({"k": "say", "text": "An answer is still being written here.", "n": 1})
    expect(told.tab.said).to_have_text("An answer is still being written here.")
    told.wire.tell({"k": "end", "m": "a", "s": 9, "status": "finished", "stop_reason": "stop"})
    expect(told.tab.answers.last).to_have_attribute("data-status", "finished")
    expect(told.tab.said).to_have_count(0)
    told.tab.composer.fill("x" * 200_001)
    told.tab.composer.press("Enter")
    expect(told.tab.said).to_contain_text("too long")
    told.tab.composer.fill("short enough")
    expect(told.tab.said).to_have_count(0)


def test_a_load_that_is_cancelled_loses_no_connection(chat: ChatPage, mark: str):
    """The browser asks before another page is loaded, and stays; or what is loaded is a file. The answer goes on."""
    chat.ask(f"{mark} n=60 rate=6 kind=numbered").wait_text("w000003")
    page = chat.page

    def nothing(route: Route) -> None:
        route.fulfill(status=204)

    page.route("**/leads/nowhere", nothing)
    page.evaluate("location.href = '/leads/nowhere'")
    chat.wait_for_more(chat.answer_length() + 30)
    page.evaluate("dispatchEvent(new Event('beforeunload', { cancelable: true }))")
    chat.wait_for_more(chat.answer_length() + 30)
    assert page.get_by_text("Reconnecting…").count() == 0
    chat.wait_status("finished")


def test_a_socket_that_the_server_closes_is_opened_again(tab: ChatPage, wire: Wire, mark: str):
    """Reflex's client takes that for the end: the page says that it reconnects, and does."""
    tab.choose()
    tab.ask(f"{mark} n=75 rate=5 kind=numbered").wait_text("w000003")
    reconnecting: list[Any] = []
    tab.page.expose_function("reconnecting", lambda: reconnecting.append(1))
    tab.page.evaluate(
        """() => new MutationObserver(() => {
            if (document.querySelector(".connection")?.textContent.includes("Reconnecting")) window.reconnecting();
        }).observe(document.body, { childList: true, subtree: true })"""
    )
    wire.farewell()
    tab.wait_status("finished")
    tab.wait_text("w000075")
    expect(tab.page.get_by_text("Reconnecting…")).to_have_count(0)
    assert reconnecting


def test_without_a_socket_the_page_says_so(open_page: OpenPage, relay: Relay, mark: str):
    """As long as none is there, whether it was lost or closed."""
    chat = open_page("/", url=relay.url)
    chat.oddities.allow("console: ", "WebSocket", "ERR_INTERNET_DISCONNECTED", "Failed to load")
    chat.page.context.set_offline(True)
    relay.cut()
    expect(chat.page.get_by_text("Reconnecting…")).to_be_visible()
    chat.page.context.set_offline(False)
    expect(chat.page.get_by_text("Reconnecting…")).to_have_count(0)
    chat.ask(f"{mark} n=3 rate=0 kind=numbered").wait_status("finished")
