"""Extraction of a web page's readable text, as a program of its own, which can be killed.

Reads one line of JSON (``url``, ``charset`` or null) and then the page's bytes from stdin; writes the text as UTF-8.
Run by its path, so that nothing of the program is imported. Rule: what a page costs, it costs this process only.
"""

from __future__ import annotations

import json
import sys

# With more tags, the extraction takes up to twenty seconds.
MAX_TAGS = 40_000


def main() -> None:
    """Extract the text of the page on stdin."""
    header = json.loads(sys.stdin.buffer.readline())
    text = readable_text(sys.stdin.buffer.read(), header["url"], header["charset"])
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))


def readable_text(body: bytes, url: str, charset: str | None) -> str:
    """Return the main text as Markdown, or all text if there is no main text. ``charset``: ``None`` to detect it."""
    import trafilatura  # half a second

    html = body.decode(charset, "replace") if charset else trafilatura.utils.decode_file(body)
    if "<html" not in html[:10_000].lower():  # a fragment, which trafilatura would not accept
        html = f"<html><body>{html}</body></html>"
    text = None
    if html.count("<") <= MAX_TAGS:
        text = trafilatura.extract(html, url=url, output_format="markdown", include_links=True)
    return text or trafilatura.html2txt(html) or ""


if __name__ == "__main__":
    main()
