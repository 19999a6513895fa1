"""Pictures of every state of the page, light and dark, and a short moving one, in docs/screenshots/.

``python scripts/screenshots.py [NAME …]``: only these. A server of its own with the simulator's models, and Chromium,
which also makes WebP of what it shows.
"""

from __future__ import annotations

import base64
import json
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

from devservers.app import Served  # noqa: E402
from streamchat import build  # noqa: E402

TARGET = ROOT / "docs" / "screenshots"
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SCENES = ("tour", "reasoning", "tools", "parallel-tools", "diagram", "overloaded-after", "slow")
TOUR = "Show me what you can do: a heading, a table and some code"
SUM = "What is (17 + 4) × 2?"
NORMAL = r"""The density of a normal distribution with mean $\mu$ and standard deviation $\sigma$ is

$$
f(x) = \frac{1}{\sigma\sqrt{2\pi}} \; e^{-\frac{1}{2}\left(\frac{x-\mu}{\sigma}\right)^2}
$$

| Within | Share |
|:--|--:|
| $\mu \pm \sigma$ | 68.3 % |
| $\mu \pm 2\sigma$ | 95.4 % |
| $\mu \pm 3\sigma$ | 99.7 % |

Half of the values lie below $\mu$; a ticket to $5 or $10 is still money.
"""


def ready(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_test_id("send")).to_be_enabled(timeout=60_000)
    expect(page.get_by_test_id("model-picker")).not_to_have_value("", timeout=60_000)


def ask(page: Page, text: str, status: str | None = "finished") -> None:
    answers = page.locator(f"[data-testid=message][data-role=assistant][data-status={status}]")
    before = answers.count() if status else 0
    page.get_by_test_id("composer").fill(text)
    page.get_by_test_id("send").click()
    if status:
        expect(answers).to_have_count(before + 1, timeout=90_000)


def choose(page: Page, scene: str) -> None:
    page.get_by_test_id("model-picker").select_option(f"simulator:{scene}")


def scroll_up(page: Page) -> None:
    page.locator(".scroller").evaluate("element => element.scrollTo(0, 0)")


def empty(page: Page, url: str) -> None:
    ready(page, url)
    expect(page.get_by_test_id("ready-models")).to_have_attribute("data-known", "true")


def streaming(page: Page, url: str) -> None:
    ready(page, f"{url}/?model=simulator:tour")
    ask(page, TOUR, None)
    expect(page.locator(".answer table")).to_be_visible(timeout=60_000)


def answer(page: Page, url: str) -> None:
    ready(page, f"{url}/?model=simulator:tour")
    ask(page, TOUR)
    scroll_up(page)


def reasoning(page: Page, url: str) -> None:
    ready(page, f"{url}/?model=simulator:reasoning")
    ask(page, "Think about it first")
    page.locator(".reasoning summary").click()


def tools(page: Page, url: str) -> None:
    ready(page, f"{url}/?model=simulator:tools")
    ask(page, SUM)


def approval(page: Page, url: str) -> None:
    ready(page, f"{url}/?model=simulator:parallel-tools")
    ask(page, "What time is it in Paris?", None)
    expect(page.get_by_test_id("approve").first).to_be_visible(timeout=60_000)


def error(page: Page, url: str) -> None:
    ready(page, f"{url}/?model=simulator:overloaded-after")
    ask(page, "What happens if the provider gives up?", "failed")


def long(page: Page, url: str) -> None:
    ready(page, f"{url}/?model=simulator:tour")
    ask(page, TOUR)
    for scene, question in (("reasoning", "Why does it ring?"), ("tools", SUM)):
        choose(page, scene)
        ask(page, question)


def branches(page: Page, url: str) -> None:
    ready(page, f"{url}/?model=simulator:tools")
    ask(page, SUM)
    page.get_by_test_id("regenerate").last.click()
    expect(page.get_by_test_id("branch").last).to_be_visible(timeout=60_000)
    expect(page.get_by_test_id("stop")).to_have_count(0, timeout=60_000)


def attachments(page: Page, url: str) -> None:
    ready(page, url)
    files = [
        {"name": "owls.csv", "mimeType": "text/csv", "buffer": b"owl,km\nBarn,12\n"},
        {"name": "notes.md", "mimeType": "text/markdown", "buffer": b"# Notes\n"},
    ]
    page.get_by_test_id("attach").set_input_files(files)
    expect(page.locator("[data-testid=attachment][data-state=ready]")).to_have_count(2, timeout=60_000)
    page.get_by_test_id("composer").fill("Compare these two files")


def search(page: Page, url: str) -> None:
    answer(page, url)
    page.get_by_test_id("search").fill("log")
    expect(page.get_by_test_id("search-hit").first).to_be_visible(timeout=60_000)


def compare(page: Page, url: str) -> None:
    ready(page, f"{url}/?model=simulator:tour")
    page.get_by_test_id("compare").click()
    page.locator("[data-testid=compare-model][data-model='simulator:reasoning']").check()
    page.keyboard.press("Escape")
    ask(page, "Two answers to one question", None)
    expect(page.get_by_test_id("keep")).to_have_count(2, timeout=60_000)
    expect(page.get_by_test_id("stop-one")).to_have_count(0, timeout=60_000)
    scroll_up(page)


def formulas(page: Page, url: str) -> None:
    parts = (("user", "What is the normal distribution?"), ("assistant", NORMAL))
    messages = [
        {"id": role, "role": role, "status": "finished", "parts": [{"type": "text", "text": text}]}
        for role, text in parts
    ]
    text = json.dumps({"title": "The normal distribution", "messages": messages})
    made = page.request.post(f"{url}/api/conversations/import", data={"text": text}).json()
    ready(page, f"{url}/c/{made['conversations'][0]['id']}")
    expect(page.locator(".katex-display")).to_be_visible(timeout=60_000)


def diagram(page: Page, url: str) -> None:
    ready(page, f"{url}/?model=simulator:diagram")
    ask(page, "Draw how an answer gets from a model to this page")
    expect(page.locator(".diagram img:visible")).to_have_count(1, timeout=60_000)


def settings(page: Page, url: str) -> None:
    empty(page, url)
    page.get_by_test_id("settings").click()
    expect(page.get_by_test_id("settings-dialog")).to_be_visible()


def palette(page: Page, url: str) -> None:
    answer(page, url)
    page.keyboard.press("Control+k")
    expect(page.get_by_test_id("palette")).to_be_visible()


def shortcuts(page: Page, url: str) -> None:
    empty(page, url)
    page.get_by_test_id("composer").blur()
    page.keyboard.press("?")
    expect(page.get_by_test_id("shortcuts")).to_be_visible()


def drawer(page: Page, url: str) -> None:
    answer(page, url)
    page.get_by_role("button", name="Conversations").click()


STATES: dict[str, tuple[Callable[[Page, str], None], dict[str, int]]] = {
    "empty": (empty, WIDE),
    "streaming": (streaming, WIDE),
    "answer": (answer, WIDE),
    "reasoning": (reasoning, WIDE),
    "tools": (tools, WIDE),
    "approval": (approval, WIDE),
    "error": (error, WIDE),
    "long": (long, WIDE),
    "formulas": (formulas, WIDE),
    "diagram": (diagram, WIDE),
    "branches": (branches, WIDE),
    "attachments": (attachments, WIDE),
    "search": (search, WIDE),
    "compare": (compare, WIDE),
    "settings": (settings, WIDE),
    "palette": (palette, WIDE),
    "shortcuts": (shortcuts, WIDE),
    "phone": (answer, PHONE),
    "phone-empty": (empty, PHONE),
    "phone-drawer": (drawer, PHONE),
}


# Draws a picture, and returns it as WebP.
ENCODE = """async ([data, scale, quality]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${data}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width * scale, image.height * scale];
  const context = canvas.getContext("2d", { alpha: false });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/webp", quality).split(",")[1];
}"""


def webp(drawing: Page, png: bytes, scale: float = 1, quality: float = 0.8) -> bytes:
    """Return a picture as WebP."""
    return base64.b64decode(drawing.evaluate(ENCODE, [base64.b64encode(png).decode(), scale, quality]))


def animated(frames: list[bytes], width: int, height: int, milliseconds: int) -> bytes:
    """Return WebP pictures of one size as an animation that is repeated: the container format's own chunks."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    def three(number: int) -> bytes:
        return struct.pack("<I", number)[:3]

    size = three(width - 1) + three(height - 1)
    body = b"WEBP" + chunk(b"VP8X", bytes([2, 0, 0, 0]) + size) + chunk(b"ANIM", bytes(6))
    for frame in frames:
        body += chunk(b"ANMF", three(0) * 2 + size + three(milliseconds) + bytes([2]) + picture_chunk(frame))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def picture_chunk(frame: bytes) -> bytes:
    """Return the chunk of a WebP file that has its picture."""
    at = 12
    while True:
        length = struct.unpack_from("<I", frame, at + 4)[0]
        end = at + 8 + length + length % 2
        if frame[at : at + 4] in (b"VP8 ", b"VP8L"):
            return frame[at:end]
        at = end


def states(browser: Browser, url: str, wanted: list[str]) -> None:
    drawing = browser.new_page()
    for name, (show, size) in STATES.items():
        for theme in ("light", "dark"):
            if wanted and name not in wanted:
                continue
            context = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")
            page = context.new_page()
            try:
                show(page, url)
                png = page.screenshot(animations="disabled")
                (TARGET / f"{name}-{theme}.webp").write_bytes(webp(drawing, png))
                print(f"{name}-{theme}")
            except Exception as problem:  # the other pictures are made all the same
                print(f"{name}-{theme}: {str(problem).splitlines()[0]}", file=sys.stderr)
            context.close()


def moving(browser: Browser, url: str) -> None:
    """An answer that streams, over a reload in its middle."""
    context = browser.new_context(viewport={"width": 900, "height": 600}, color_scheme="light")
    page = context.new_page()
    ready(page, f"{url}/?model=simulator:tour")
    page.get_by_test_id("composer").fill("Show me what you can do rate=30")
    frames = [page.screenshot()]
    page.get_by_test_id("send").click()
    for number in range(40):
        page.wait_for_timeout(150)
        frames.append(page.screenshot())
        if number == 16:
            page.reload(wait_until="commit")
    drawing = browser.new_page()
    pictures = [webp(drawing, frame, 0.8, 0.6) for frame in frames]
    (TARGET / "streaming.webp").write_bytes(animated(pictures, 720, 480, 200))
    context.close()
    print("streaming (moving)")


def main() -> None:
    wanted = sys.argv[1:]
    TARGET.mkdir(parents=True, exist_ok=True)
    if not build.is_current():
        build.build()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        models = ",".join(f"simulator:{scene}" for scene in SCENES)
        server = Served(
            Path(folder) / "data", {"STREAMCHAT_MODELS": models, "STREAMCHAT_APPROVE": "current_time"}
        ).start()
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        try:
            states(browser, server.url, wanted)
            if not wanted or "moving" in wanted:
                moving(browser, server.url)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
