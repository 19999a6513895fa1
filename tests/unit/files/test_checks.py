"""What a file is, by its content."""

from __future__ import annotations

import pytest

from streamchat.errors import InvalidInput
from streamchat.files.checks import MAX_NAME, MAX_TEXT, check_file, clean_name
from streamchat.files.pictures import read_picture
from tests.support.made_files import bomb, gif, jpeg, png, webp, zip_archive


@pytest.mark.parametrize("make", [png, jpeg, gif, webp])
async def test_a_picture_has_the_type_and_size_of_its_header(make):
    """Whatever it is called."""
    checked = await check_file(make(640, 480), "notes.txt")
    assert (checked.media_type, checked.width, checked.height) == (f"image/{make.__name__}", 640, 480)
    assert checked.name == "notes.txt"
    assert checked.text == ""


@pytest.mark.parametrize("make", [png, jpeg, gif, webp])
async def test_a_picture_that_is_cut_off_is_refused_at_any_length(make):
    """None of them is taken for a picture, a text or something else, and nothing fails in another way."""
    whole = make(64, 64)
    for length in range(12, len(whole)):  # the letters before are a text
        with pytest.raises(InvalidInput):
            await check_file(whole[:length], "a.png")


async def test_a_picture_of_too_many_pixels_is_refused_by_its_header():
    """Nothing of it is decoded."""
    with pytest.raises(InvalidInput, match="20,000 × 20,000 pixels") as error:
        await check_file(bomb(), "a.png")
    assert error.value.kind == "too-large"


@pytest.mark.parametrize("make", [png, jpeg, gif])
async def test_a_picture_without_pixels_is_refused(make):
    """A width or height of 0."""
    with pytest.raises(InvalidInput, match="damaged"):
        await check_file(make(0, 5), "a.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zip_archive(), "a ZIP archive"),
        (b"\x7fELF\x02\x01\x01\0", "a program"),
        (b"BM\x36\0\0\0", "a BMP picture"),
        (b"\x93\xfa\x96\x7b", "neither a picture"),
        (b"text with a \0 in it", "neither a picture"),
    ],
)
async def test_other_content_is_refused_with_what_it_is(content: bytes, message: str):
    """Also if the name promises a picture."""
    with pytest.raises(InvalidInput, match=message) as error:
        await check_file(content, "a.png")
    assert error.value.kind == "wrong-type"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b" \n", "no text"), (b"x" * (MAX_TEXT + 1), "at most 1,000,000")],
)
async def test_a_file_that_says_nothing_or_too_much_is_refused(content: bytes, message: str):
    """With the reason."""
    with pytest.raises(InvalidInput, match=message):
        await check_file(content, "a.txt")


@pytest.mark.parametrize(
    ("content", "name", "media_type", "text"),
    [
        (b"\xef\xbb\xbfa\r\nb", "a.md", "text/markdown", "a\r\nb"),
        ("Grüße".encode("utf-16"), "a.csv", "text/csv", "Grüße"),
        (b'{"a": 1}', "data.JSON", "application/json", '{"a": 1}'),
        (b"<script>alert(1)</script>", "a.svg", "text/plain", "<script>alert(1)</script>"),
        (b"BMW is a car, MZ is a bicycle", "cars", "text/plain", "BMW is a car, MZ is a bicycle"),
        (b"\x1b[1mbold\x1b[0m", "log", "text/plain", "\x1b[1mbold\x1b[0m"),
    ],
)
async def test_a_text_is_read_in_its_encoding(content: bytes, name: str, media_type: str, text: str):
    """UTF-8 and UTF-16; the kind of text is a matter of its name."""
    checked = await check_file(content, name)
    assert (checked.media_type, checked.text, checked.content) == (media_type, text, content)
    assert checked.tokens > 0


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("C:\\photos\\cat.png", "cat.png"),
        ("../../etc/passwd", "passwd"),
        ("a\r\nb\u202e.txt", "ab.txt"),
        ("", "file"),
        ("\ud83d.txt", "\ufffd.txt"),
        ("x" * 500 + ".png", "x" * (MAX_NAME - 4) + ".png"),
    ],
)
def test_a_name_is_one_line_without_folders(name: str, clean: str):
    """It comes from another machine."""
    assert clean_name(name) == clean


def test_random_bytes_after_a_signature_raise_nothing_else():
    """A header from outside is untrusted."""
    for beginning in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\x10\0\0\0WEBP"):
        for length in range(64):
            content = beginning + bytes(i * 37 % 256 for i in range(length))
            try:
                read_picture(content)
            except InvalidInput:
                pass
