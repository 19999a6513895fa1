"""Extraction of a PDF's text, as a program of its own, which can be killed.

Reads the file from stdin; writes one JSON object: ``{"pages", "text"}``, or ``{"problem"}``: ``password`` or
``damaged``. Run by its path, so that nothing of the program is imported.
"""

from __future__ import annotations

import io
import json
import logging
import sys

MAX_PAGES = 2000
MAX_TEXT = 1_000_000


def main() -> None:
    """Extract the text of the file on stdin."""
    logging.disable(logging.CRITICAL)
    sys.stdout.write(json.dumps(read_pdf(sys.stdin.buffer.read())))


def read_pdf(content: bytes) -> dict[str, object]:
    """Return the number of pages and their text, or the problem. Text beyond ``MAX_TEXT`` characters is cut off."""
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    try:
        reader = PdfReader(io.BytesIO(content))
        # Many files are encrypted with an empty password: everybody may read them.
        if reader.is_encrypted and not reader.decrypt(""):
            return {"problem": "password"}
        pages = len(reader.pages)
        texts, length = [], 0
        for page in reader.pages[:MAX_PAGES]:
            texts.append(page.extract_text())
            length += len(texts[-1])
            if length > MAX_TEXT:
                break
    except (
        PyPdfError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
        NotImplementedError,
    ):
        return {"problem": "damaged"}
    except DependencyError:  # an encryption that needs a library which is not installed
        return {"problem": "password"}
    text = "\n\n".join(text.strip() for text in texts).strip()
    if len(text) > MAX_TEXT or len(texts) < pages:
        text = f"{text[:MAX_TEXT]}\n[shortened]"
    return {"pages": pages, "text": text.encode("utf-8", "replace").decode().replace("\0", "")}


if __name__ == "__main__":
    main()
