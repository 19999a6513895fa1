"""Conversion of a HEIC, HEIF or AVIF picture to JPEG, or PNG if it is transparent, as a program of its own.

Reads the file from stdin; writes one line of JSON, ``{"media_type", "width", "height"}`` or ``{"problem"}``
(``damaged``, or ``size`` with ``width`` and ``height``), and then the bytes of the new picture. Run by its path, so
that nothing of the program is imported. Rules:

* The size is read from the header first: what is too large is not decoded.
* The picture stands upright and is scaled down to what models take, as a browser does before an upload. Of what else is
  in the file (place, time, camera), nothing is kept but the colour profile.
"""

from __future__ import annotations

import io
import json
import sys

# As in ``assets/chat/composer/picture.ts``.
MAX_SIDE = 2000
DECODABLE_SIDE = 12_000
DECODABLE_PIXELS = 60_000_000
JPEG_QUALITY = 90


def main() -> None:
    """Convert the picture on stdin."""
    header, content = converted(sys.stdin.buffer.read())
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + content)


def converted(content: bytes) -> tuple[dict[str, object], bytes]:
    """Return the new picture's header and bytes, or the problem."""
    import pi_heif
    from PIL import Image, ImageOps, UnidentifiedImageError

    pi_heif.register_heif_opener(thumbnails=False)
    Image.MAX_IMAGE_PIXELS = None  # checked here
    try:
        with Image.open(io.BytesIO(content), formats=("HEIF", "AVIF")) as picture:
            width, height = picture.size
            if max(width, height) > DECODABLE_SIDE or width * height > DECODABLE_PIXELS:
                return {"problem": "size", "width": width, "height": height}, b""
            upright = ImageOps.exif_transpose(picture)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, RuntimeError, EOFError, IndexError, KeyError):
        return {"problem": "damaged"}, b""
    upright.thumbnail((MAX_SIDE, MAX_SIDE))
    transparent = upright.has_transparency_data and upright.convert("RGBA").getchannel("A").getextrema() != (255, 255)
    output, profile = io.BytesIO(), picture.info.get("icc_profile")
    if transparent:
        upright.save(output, "PNG", icc_profile=profile)
    else:
        upright.convert("RGB").save(output, "JPEG", quality=JPEG_QUALITY, icc_profile=profile)
    media_type = "image/png" if transparent else "image/jpeg"
    return {"media_type": media_type, "width": upright.width, "height": upright.height}, output.getvalue()


if __name__ == "__main__":
    main()
