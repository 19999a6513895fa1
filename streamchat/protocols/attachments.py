"""Pictures and files of a request: as base64, as a ``data:`` URL, or at an address from which they are to be fetched.

Nothing is fetched or read here. Knows no vendor.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from urllib.parse import unquote, urlsplit

from streamchat.chat.files import PDF
from streamchat.chat.messages import FilePart, ImagePart, repair_surrogates
from streamchat.errors import InvalidInput

_DATA = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?)(;base64)?,", re.IGNORECASE)
_IMAGE = re.compile(r"image/[a-z0-9.+-]{1,60}")
_TEXTS = ("application/json", "application/xml", "application/yaml", "application/x-yaml", "application/javascript")
MAX_NAME = 255
MAX_URL = 8000


def from_url(url: str, name: str = "") -> ImagePart | FilePart:
    """Return the content of a ``data:`` URL, or a part with an address. Raises ``InvalidInput``."""
    if url[:8].lower().startswith(("http://", "https://")):
        if len(url) > MAX_URL or not _is_url(url):
            raise InvalidInput("The URL of an attachment is none, or too long.")
        own = unquote(urlsplit(url).path.rpartition("/")[2], errors="replace")
        return FilePart(repair_surrogates(name or own)[:MAX_NAME] or "file", url=repair_surrogates(url))
    match = _DATA.match(url[:500])
    if match is None or not match[3]:
        raise InvalidInput("Attachments are http, https or data: URLs, the latter in base64.")
    return from_base64(match[1].lower() or "text/plain", url[match.end() :], name)


def from_base64(media_type: str, data: str, name: str = "") -> ImagePart | FilePart:
    """Return an image, a PDF or a text file. Raises ``InvalidInput`` for anything else."""
    media_type = media_type.partition(";")[0].strip().lower()
    name = repair_surrogates(name)[:MAX_NAME]
    try:
        raw = b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("An attachment is not valid base64.") from None
    if not raw:
        raise InvalidInput("An attachment is empty.")
    if _IMAGE.fullmatch(media_type):
        return ImagePart(media_type, data, name)
    if media_type == PDF or b"%PDF-" in raw[:1024]:  # some clients send no type
        return FilePart(name or "file.pdf", media_type=PDF, data=data)
    if media_type.startswith("text/") or media_type in _TEXTS:
        return from_text(raw, media_type, name)
    raise InvalidInput(
        f"Attachments of type {media_type[:80] or 'unknown'} are not supported: images, PDF and text files are."
    )


def from_text(raw: bytes | str, media_type: str, name: str = "") -> FilePart:
    """Return a text file. Raises ``InvalidInput`` if it is not UTF-8."""
    try:
        text = raw.decode() if isinstance(raw, bytes) else repair_surrogates(raw)
    except UnicodeDecodeError:
        raise InvalidInput("A text file is not UTF-8.") from None
    return FilePart(repair_surrogates(name)[:MAX_NAME] or "file.txt", text, media_type[:100])


def from_id(file_id: str) -> FilePart:
    """Return a file that was uploaded here."""
    return FilePart("", file_id=file_id[:64])


def _is_url(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False
