"""What an uploaded file is, by its content; its name decides nothing.

Rules:

* A file is a picture, a PDF with text, or a text. Everything else is refused, and the error message says what it is.
* Nothing is decoded here: the size of a picture is read from its header; a PDF is read, and a HEIC or AVIF picture is
  converted, in a process of its own.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import re
import unicodedata
from pathlib import PurePosixPath

from streamchat import extras
from streamchat.chat.files import PDF, CheckedFile
from streamchat.chat.messages import repair_surrogates
from streamchat.chat.tokens import estimate_tokens
from streamchat.errors import InvalidInput
from streamchat.extraction import ExtractionFailed, extract
from streamchat.files import pdf_text, picture_conversion
from streamchat.files.pictures import Picture, is_heic, read_picture

MAX_NAME = 200
MAX_SIDE = 8000
MAX_TEXT = pdf_text.MAX_TEXT
EXTRACTION_SECONDS = 60.0
# A PDF takes a core while it is read, and a picture while it is converted.
_extractions = asyncio.Semaphore(2)
_TYPES = {
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_FORMATS = (
    (b"PK\x03\x04", "a ZIP archive, or a document that is one inside (such as .docx)"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"ID3", "a sound"),
    (b"OggS", "a sound or a film"),
    (b"\x1aE\xdf\xa3", "a film"),
    (b"SQLite format 3", "a database"),
)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
WHAT_IS_READ = "Pictures (PNG, JPEG, WebP, GIF, HEIC, AVIF), PDF and text files can be attached."


class WrongType(InvalidInput):
    """The content is of a type that cannot be attached."""

    kind = "wrong-type"


class TooLarge(InvalidInput):
    """The file, or all files of its owner together, are larger than they may be."""

    kind = "too-large"


async def check_file(content: bytes, name: str) -> CheckedFile:
    """Return the file with what it is. Raises ``InvalidInput`` for one that cannot be attached."""
    name = clean_name(name)
    if not content:
        raise InvalidInput("This file is empty.")
    if picture := read_picture(content):
        _check_size(picture)
        return CheckedFile(name, picture.media_type, content, width=picture.width, height=picture.height)
    if is_heic(content):
        return await _convert(content, name)
    if b"%PDF-" in content[:1024]:
        return await _check_pdf(content, name)
    return await asyncio.to_thread(_check_text, content, name)


def clean_name(name: str) -> str:
    """Return the name without folders and invisible characters, at most ``MAX_NAME`` characters long."""
    name = repair_surrogates(name).replace("\\", "/").rpartition("/")[2]
    name = " ".join("".join(c for c in name if unicodedata.category(c)[0] != "C" or c == "\u200d").split())
    if len(name) > MAX_NAME:
        suffix = PurePosixPath(name).suffix[:20]
        name = name[: MAX_NAME - len(suffix)] + suffix
    return name or "file"


def _check_size(picture: Picture) -> None:
    width, height = picture.width, picture.height
    if not width or not height:
        raise InvalidInput("This picture is damaged: it has no size.")
    if max(width, height) > MAX_SIDE:
        largest = f"at most {MAX_SIDE:,} × {MAX_SIDE:,} can be read. Make it smaller."
        raise TooLarge(f"{_pixels(width, height)}; {largest}")


def _pixels(width: int, height: int) -> str:
    return f"This picture has {width:,} × {height:,} pixels"


async def _convert(content: bytes, name: str) -> CheckedFile:
    """Return a HEIC or AVIF picture as JPEG or PNG: models and most browsers do not read it."""
    if not extras.is_installed("files"):
        raise WrongType(f"This server reads no HEIC and AVIF pictures: it needs {extras.hint('files')}.")
    try:
        async with _extractions:
            output = await extract(picture_conversion.__file__, content, EXTRACTION_SECONDS)
    except (TimeoutError, ExtractionFailed):
        raise InvalidInput("This picture is too large or too complex to be read.") from None
    header, _, picture = output.partition(b"\n")
    result = json.loads(header)
    if result.get("problem") == "size":
        raise TooLarge(f"{_pixels(result['width'], result['height'])}, which is more than is read. Make it smaller.")
    if result.get("problem"):
        raise InvalidInput("This picture is damaged: it cannot be read.")
    media_type = result["media_type"]
    name = f"{PurePosixPath(name).stem}.{'png' if media_type == 'image/png' else 'jpg'}"
    return CheckedFile(name, media_type, picture, width=result["width"], height=result["height"])


async def _check_pdf(content: bytes, name: str) -> CheckedFile:
    if not extras.is_installed("files"):
        raise WrongType(f"This server reads no PDF files: it needs {extras.hint('files')}.")
    try:
        async with _extractions:
            result = json.loads(await extract(pdf_text.__file__, content, EXTRACTION_SECONDS))
    except TimeoutError:
        raise InvalidInput("This PDF is too complex to read its text.") from None
    except ExtractionFailed:
        raise InvalidInput("This PDF is too large or too complex to read its text.") from None
    if result.get("problem") == "password":
        raise InvalidInput("This PDF is protected by a password. Remove the password, and attach it again.")
    if result.get("problem"):
        raise InvalidInput("This PDF is damaged: it cannot be read.")
    pages, text = result["pages"], result["text"]
    if not text:
        raise InvalidInput("There is no text in this PDF: it may be a scan. Attach its pages as pictures.")
    return CheckedFile(name, PDF, content, text, pages=pages, tokens=round(estimate_tokens(text)))


def _check_text(content: bytes, name: str) -> CheckedFile:
    for beginning, what in _FORMATS:
        if content.startswith(beginning) and not _is_ascii_text(content):
            raise WrongType(f"“{name}” is {what}. {WHAT_IS_READ}")
    text = _decoded(content)
    if text is None:
        raise WrongType(f"“{name}” is neither a picture, nor a PDF, nor a text in UTF-8. {WHAT_IS_READ}")
    if not text.strip():
        raise InvalidInput("There is no text in this file.")
    if len(text) > MAX_TEXT:
        raise TooLarge(f"This text has {len(text):,} characters; at most {MAX_TEXT:,} can be read. Send a part of it.")
    media_type = _TYPES.get(PurePosixPath(name).suffix.lower(), "text/plain")
    return CheckedFile(name, media_type, content, text, tokens=round(estimate_tokens(text)))


def _is_ascii_text(content: bytes) -> bool:
    """Return whether it begins as a text does: "BM", "MZ" and "ID3" are letters too."""
    beginning = content[:512].decode("latin-1")
    return beginning.isascii() and not _CONTROLS.search(beginning)


def _decoded(content: bytes) -> str | None:
    """Return the text in UTF-8, or in UTF-16 with a mark at its beginning; ``None`` if it is none."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if _CONTROLS.search(text) else text
