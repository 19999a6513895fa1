"""Headers of pictures: format and size in pixels, read without decoding anything.

Pure. Rule: a file that is no picture is ``None``; one that is cut off raises ``InvalidInput``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from streamchat.errors import InvalidInput

CUT = "This picture is damaged: it is not complete."
# Markers of JPEG that have a frame's size behind them: all of SOF0 to SOF15 but the tables between.
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True, slots=True)
class Picture:
    """``width`` and ``height`` in pixels."""

    media_type: str
    width: int
    height: int


def read_picture(content: bytes) -> Picture | None:
    """Return format and size of a PNG, JPEG, GIF or WebP; ``None`` for anything else. Raises ``InvalidInput``."""
    try:
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            return Picture("image/png", *_png(content))
        if content.startswith(b"\xff\xd8\xff"):
            return Picture("image/jpeg", *_jpeg(content))
        if content.startswith((b"GIF87a", b"GIF89a")):
            return Picture("image/gif", *_gif(content))
        if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
            return Picture("image/webp", *_webp(content))
    except (struct.error, IndexError):
        raise InvalidInput(CUT) from None
    return None


def is_heic(content: bytes) -> bool:
    """Return whether it is a picture of a phone's camera in HEIC, HEIF or AVIF."""
    brands = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
    return content[4:8] == b"ftyp" and content[8:12] in brands


def _png(content: bytes) -> tuple[int, int]:
    if content[12:16] != b"IHDR":
        raise InvalidInput(CUT)
    position, has_pixels = 8, False
    while True:  # chunks: length, type, content, checksum
        length, kind = struct.unpack_from(">I4s", content, position)
        position += 12 + length
        has_pixels = has_pixels or kind == b"IDAT"
        if position > len(content):
            raise InvalidInput(CUT)
        if kind == b"IEND":
            break
    if not has_pixels:
        raise InvalidInput(CUT)
    return struct.unpack_from(">II", content, 16)


def _jpeg(content: bytes) -> tuple[int, int]:
    position = 2
    while True:
        if content[position] != 0xFF:
            raise InvalidInput(CUT)
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker in _ALONE:
            position += 2
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">HH", content, position + 5)
            break
        else:
            (length,) = struct.unpack_from(">H", content, position + 2)
            position += 2 + length
    if b"\xff\xd9" not in content[position:]:
        raise InvalidInput(CUT)
    return width, height


def _gif(content: bytes) -> tuple[int, int]:
    if b"\x3b" not in content[13:]:
        raise InvalidInput(CUT)
    return struct.unpack_from("<HH", content, 6)


def _webp(content: bytes) -> tuple[int, int]:
    (length,) = struct.unpack_from("<I", content, 4)
    if length + 8 > len(content):
        raise InvalidInput(CUT)
    kind = content[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        return width, int.from_bytes(content[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", content, 26)
    return width & 0x3FFF, height & 0x3FFF
