"""The main path in Debian's Firefox: ask, stream, stop, reload in mid-answer, and what is laid out in its own way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from devservers.app import Served
from tests.browser.test_conversations import imported
from tests.support.firefox import PROGRAM, Firefox

ENTER = "\ue007"
ANSWERS = "[...document.querySelectorAll('[data-role=assistant]')]"
TEXT = f"({ANSWERS}.at(-1)?.querySelector('[data-testid=answer]')?.textContent ?? '')"
STATUS = f"{ANSWERS}.at(-1)?.dataset.status"
READY = (
    "document.activeElement?.dataset.testid === 'composer' && !document.querySelector('[data-testid=send]')?.disabled"
)
LAID_OUT = """1. one
   - nested

| left | middle | right |
|:---|:---:|---:|
| 1 | 2 | 3 |

`npm install` را اجرا کنید.

- [x] done

Text[^1].

[^1]: A note, invented.
"""


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    if shutil.which(PROGRAM) is None:
        pytest.skip(f"no {PROGRAM} here")
    browser = Firefox(tmp_path_factory.mktemp("firefox"))
    browser.size(1280, 800)
    yield browser
    browser.close()


def test_the_main_path(firefox: Firefox, served: Served, mark: str):
    """A question by keyboard, words as they come, Stop by Escape, a reload in the middle that loses and doubles
    nothing, a complete answer that was followed to its end."""
    firefox.open(f"{served.url}/?model=simulator:tour")
    firefox.wait(READY)
    firefox.keys(f"{mark} n=2000 rate=10 kind=numbered{ENTER}")
    firefox.wait(f"{TEXT}.includes('w000005')")
    assert firefox.evaluate(STATUS) == "streaming"
    firefox.keys("\ue00c")
    firefox.wait(f"{STATUS} === 'stopped'")
    assert "w002000" not in firefox.evaluate(TEXT)
    firefox.wait(READY)
    firefox.keys(f"{mark} n=120 rate=30 kind=numbered{ENTER}")
    firefox.wait(f"{ANSWERS}.length === 2 && {TEXT}.includes('w000010')")
    firefox.reload()
    firefox.wait(f"{TEXT}.includes('w000011')")
    firefox.wait(f"{STATUS} === 'finished'")
    assert firefox.evaluate(f"{TEXT}.match(/w\\d{{6}}/g)") == [f"w{n:06d}" for n in range(1, 121)]
    scroller = "document.querySelector('[role=region][aria-label=Conversation]')"
    firefox.wait(f"(s => s.scrollHeight - s.clientHeight - s.scrollTop <= 40)({scroller})")
    firefox.wait(READY)
    firefox.keys("next")
    assert firefox.evaluate("document.querySelector('[data-testid=composer]').value") == "next"
    # Of the empty style elements of a library, whose rules are added by a script, Firefox reports that they are inline.
    assert [error for error in firefox.errors if "(style-src-elem)" not in error] == []


def test_what_firefox_lays_out(firefox: Firefox, served: Served):
    """Columns are aligned, lists indented, footnotes beside their marks, a paragraph that begins with code reads from
    right to left; nothing is wider than the page."""
    firefox.open(f"{served.url}/c/{imported(served, 'Firefox', 'q', LAID_OUT)}")
    firefox.wait("document.querySelectorAll('.answer td').length === 3")
    aligned = firefox.evaluate("[...document.querySelectorAll('.answer td')].map(e => getComputedStyle(e).textAlign)")
    assert aligned[0] in ("start", "left")
    assert aligned[1:] in (["center", "end"], ["center", "right"])
    one, nested = firefox.evaluate(
        "[...document.querySelectorAll('.answer ol li')].map(e => e.getBoundingClientRect().x)"
    )
    assert nested > one
    rtl = "[...document.querySelectorAll('.answer .block > p')].map(e => getComputedStyle(e).direction)"
    assert "rtl" in firefox.evaluate(rtl)
    mark, note = firefox.evaluate(
        "['.footnote-mark', '.footnote > :last-child'].map(s => [...document.querySelectorAll(s)].at(-1)"
        ".getBoundingClientRect()).map(box => [box.left, box.right, box.top])"
    )
    assert note[0] >= mark[1]
    assert firefox.evaluate("(s => s.scrollWidth <= s.clientWidth)(document.querySelector('.scroller'))")
    box = firefox.evaluate("getComputedStyle(document.querySelector('.task-list-item input')).backgroundColor")
    assert box not in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)")
