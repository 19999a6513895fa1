"""Real files for tests, made here: pictures, PDFs and what only looks like them."""

from __future__ import annotations

import io
import struct
import zlib
from base64 import b64decode, b64encode


def png(width: int = 2, height: int = 2, *, pixels: bytes | None = None, noise: int = 0) -> bytes:
    """A grey picture. ``pixels``: other data than that of the picture. ``noise``: bytes of random text within."""
    if pixels is None:
        pixels = zlib.compress((b"\0" + b"\x80" * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    more = _chunk(b"tEXt", b"noise\0" + bytes(32 + i * 7919 % 90 for i in range(noise))) if noise else b""
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + more + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def bomb() -> bytes:
    """A small file that would be 20,000 × 20,000 pixels if it was decoded."""
    return png(20_000, 20_000, pixels=zlib.compress(b"\0" * 1_000_000))


def jpeg(width: int = 3, height: int = 2) -> bytes:
    """The headers of a JPEG; nothing here decodes it."""
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + bytes(9) + frame + b"\xff\xda\0\0\xff\xd9"


def gif(width: int = 3, height: int = 2) -> bytes:
    """A GIF without pixels."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0;"


def webp(width: int = 3, height: int = 2) -> bytes:
    """The header of a lossless WebP."""
    bits = (width - 1) | (height - 1) << 14
    body = b"WEBPVP8L" + struct.pack("<I", 5) + b"\x2f" + struct.pack("<I", bits) + b"\0"
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pdf(*pages: str) -> bytes:
    """A PDF by hand, one line of text on each page; an empty page for an empty text."""
    numbers = range(3, 3 + 2 * len(pages), 2)
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>"]
    font = "<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    for number, text in zip(numbers, pages, strict=True):
        stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET" if text else ""
        page = f"/MediaBox [0 0 612 792] /Resources {font} /Contents {number + 1} 0 R"
        objects += [f"<< /Type /Page /Parent 2 0 R {page} >>"]
        objects += [f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream"]
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(body)}\n"
    )
    return body + trailer.encode() + b"%%EOF\n"


def locked_pdf() -> bytes:
    """A PDF that opens with a password only."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("secret"))))
    writer.encrypt("open sesame", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def heic(width: int = 0, height: int = 0) -> bytes:
    """A picture of a phone: 64 × 48 pixels, blue beside red, to be turned upright; with the name of a camera.

    ``width``, ``height``: what its header says instead.
    """
    content = b64decode(_HEIC)
    at = content.index(b"ispe") + 8
    size = struct.pack(">II", width, height) if width else content[at : at + 8]
    return content[:at] + size + content[at + 8 :]


def zip_archive() -> bytes:
    """The beginning of a ZIP archive."""
    return b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(range(64))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PICTURE = b64encode(png(7, 5)).decode()
# Made with libheif, by an encoder whose licence does not let it be a dependency.
_HEIC = (
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAADRpbG9jAA"
    "AAAERAAAIAAQAAAAAB7AABAAAAAAAAADoAAgAAAAACJgABAAAAAAAAAD4AAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVp"
    "bmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGE"
    "ABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkA"
    "AAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEH"
    "BpeGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAIBtZGF0AAAA"
    "NigBr1jm9Oq//+rbuR+WWn/2Y59X/pD6/7cB6/srxUktsCNYu8ahilkHRCXGBR/h9pyPqLh+2AAAAAZFeGlmAABNTQAqAAAACAACAQ8AAgAAAA"
    "4AAAAmARIAAwAAAAEABgAAAAAAAENBTkFSWSBjYW1lcmEA"
)
