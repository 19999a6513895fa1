"""``/api/files``: real files over HTTP, from the upload to the model."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.files import all_file_ids
from streamchat.chat.messages import FilePart, TextPart
from streamchat.client import AsyncClient, Client
from streamchat.errors import InvalidInput, NotFound
from tests.integration.web.conftest import Api, MakeApi, shared
from tests.support.disks import fill, small_disk
from tests.support.made_files import bomb, heic, jpeg, locked_pdf, pdf, png, zip_archive
from tests.support.owners import A, B, identify_by_header


async def upload(api: Api, name: str, content: bytes, media_type: str = "image/png") -> httpx.Response:
    return await api.client.post("/api/files", files={"file": (name, content, media_type)})


@pytest.fixture
async def small(make_api: MakeApi) -> AsyncIterator[Api]:
    """A server that takes little."""
    async with make_api(STREAMCHAT_FILE_BYTES="20000", STREAMCHAT_FILES_PER_OWNER="45000") as api:
        yield api


async def test_a_picture_from_upload_to_deletion(api: Api):
    """It is shown with its type and nothing else allowed; a browser that has it asks once."""
    content = png(30, 20)
    answer = await upload(api, "cat.png", content, "text/html")
    assert answer.status_code == 201, answer.text
    file = answer.json()
    assert file == {"id": file["id"], "name": "cat.png", "media_type": "image/png", "bytes": len(content),
                    "width": 30, "height": 20}  # fmt: skip
    shown = await api.client.get(f"/api/files/{file['id']}")
    assert shown.content == content
    assert shown.headers["content-type"] == "image/png"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert "content-disposition" not in shown.headers
    again = await api.client.get(f"/api/files/{file['id']}", headers={"If-None-Match": shown.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await api.client.get("/api/files")).json()["bytes"] == len(content)
    assert (await api.client.delete(f"/api/files/{file['id']}")).json() == file
    assert (await api.client.get(f"/api/files/{file['id']}")).status_code == 404
    assert (await api.client.get("/api/files")).json()["bytes"] == 0


@pytest.mark.parametrize("way", ["upload", "message"])
async def test_a_picture_of_a_phone_is_converted(api: Api, way: str):
    """HEIC becomes a JPEG, upright, without what the phone noted: uploaded, and within a message of an API client."""
    if way == "upload":
        file = (await upload(api, "IMG_0042.HEIC", heic(), "image/heic")).json()
    else:
        part = {"type": "image", "media_type": "image/heic", "name": "IMG_0042.HEIC"}
        await api.start([part | {"data": b64encode(heic()).decode()}])  # pyrefly: ignore[bad-argument-type]
        (row,) = await api.world.store.conversations("local")
        conversation = await api.world.store.conversation("local", row.id)
        file = {"id": all_file_ids(conversation.messages)[0]}
    sent = await api.client.get(f"/api/files/{file['id']}")
    info = await api.world.store.file("local", file["id"])
    assert (info.name, info.media_type, info.width, info.height) == ("IMG_0042.jpg", "image/jpeg", 48, 64)
    assert b"CANARY" in heic()
    assert b"CANARY" not in sent.content
    with Image.open(BytesIO(sent.content)) as picture:
        assert (picture.size, dict(picture.getexif())) == ((48, 64), {})
        (_, _, blue), (red, _, _) = picture.getpixel((9, 9)), picture.getpixel((9, 55))  # pyrefly: ignore[not-iterable]
        assert min(blue, red) > 150


async def test_an_avif_picture_is_scaled_down_and_may_be_transparent(api: Api):
    """As a browser does it before an upload."""
    for mode, colour, media_type in (("RGB", "red", "image/jpeg"), ("RGBA", (255, 0, 0, 9), "image/png")):
        made = BytesIO()
        Image.new(mode, (3000, 1000), colour).save(made, "AVIF", speed=10)
        file = (await upload(api, "a.avif", made.getvalue())).json()
        assert (file["media_type"], file["width"], file["height"]) == (media_type, 2000, 667)
    made = BytesIO()
    Image.new("L", (13_000, 16)).save(made, "AVIF", speed=10)
    refused = await upload(api, "a.avif", made.getvalue())
    assert "13,000 × 16 pixels" in refused.json()["error"]["message"]


async def test_what_is_no_picture_is_a_download(api: Api):
    """Also a page with a script in it, under its name."""
    for name, content, media_type in (
        ("Ω page.html", b"<script>alert(1)</script>", "text/html; charset=utf-8"),
        ("a.pdf", pdf("hello"), "application/pdf"),
        ("run.svg", b"<svg onload='alert(1)'/>", "text/plain; charset=utf-8"),
    ):
        file = (await upload(api, name, content)).json()
        sent = await api.client.get(f"/api/files/{file['id']}")
        assert sent.content == content
        assert sent.headers["content-type"] == media_type
        assert sent.headers["content-disposition"].startswith("attachment; filename=")
        assert "sandbox" in sent.headers["content-security-policy"]


async def test_a_question_with_files(api: Api):
    """The model gets picture and text; messages name the files, in no form with their bytes."""
    picture = (await upload(api, "cat.jpg", jpeg())).json()
    document = (await upload(api, "a.pdf", pdf("page one says zebra", "page two"))).json()
    assert document["pages"] == 2
    parts = [
        {"type": "text", "text": "what is it?"},
        {"type": "file", "file_id": picture["id"]},
        {"type": "file", "file_id": document["id"], "name": "other.txt"},
    ]
    run_id = await api.start(parts)  # pyrefly: ignore[bad-argument-type]
    api.provider.say(TextDelta("a cat"), Finished())
    await api.world.ended(run_id)
    (request,) = api.provider.requests
    read = request.messages[0].parts[2]
    assert isinstance(read, FilePart)
    assert (read.name, read.text) == ("a.pdf", "page one says zebra\n\npage two")
    run = (await api.client.get(f"/api/runs/{run_id}")).json()
    conversation = (await api.client.get(f"/api/conversations/{run['conversation_id']}")).json()
    assert conversation["messages"][0]["parts"][1:] == [
        {"type": "image", "media_type": "image/jpeg", "name": "cat.jpg", "file_id": picture["id"], "width": 3,
         "height": 2},
        {"type": "file", "name": "a.pdf", "media_type": "application/pdf", "file_id": document["id"], "pages": 2,
         "tokens": document["tokens"]},
    ]  # fmt: skip
    edited = await api.client.post(
        f"/api/messages/{conversation['messages'][0]['id']}/edit", json={"message": "and now?"}
    )
    assert edited.status_code == 201, edited.text
    api.provider.say(TextDelta("the same"), Finished())
    await api.world.ended(edited.json()["run_id"])
    assert api.provider.requests[-1].messages[0].parts[1] == read


@shared
@pytest.mark.parametrize(
    ("name", "content", "status", "message"),
    [
        ("a.png", zip_archive(), 415, "is a ZIP archive"),
        ("a.png", bomb(), 413, "20,000 × 20,000 pixels"),
        ("a.png", b"", 422, "This file is empty."),
        ("a.pdf", pdf("", ""), 422, "There is no text in this PDF"),
        ("a.pdf", locked_pdf(), 422, "protected by a password"),
        ("a.pdf", pdf("x")[:100], 422, "This PDF is damaged"),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0", 422, "This picture is damaged"),
        ("a.heic", heic()[:-50], 422, "This picture is damaged"),
        ("a.heic", heic(20_000, 20_000), 422, "This picture is damaged"),
    ],
)
async def test_a_file_that_cannot_be_read_says_why(
    shared_api: Api, name: str, content: bytes, status: int, message: str
):
    """One sentence, and nothing is stored."""
    answer = await upload(shared_api, name, content)
    assert (answer.status_code, message in answer.json()["error"]["message"]) == (status, True), answer.text
    assert (await shared_api.client.get("/api/files")).json()["bytes"] == 0


async def test_files_have_limits(small: Api):
    """Of each, and of all that a person has; what is refused leaves no trace, and room that is made can be used."""
    too_large = await upload(small, "a.txt", b"x" * 20_001)
    assert too_large.status_code == 413
    assert too_large.json()["error"]["message"] == "This file is larger than 20 kB."
    assert (await upload(small, "a.txt", b"x" * 200_000)).status_code == 413
    first, _ = [(await upload(small, "a.txt", b"x" * 20_000)).json() for _ in range(2)]
    full = await upload(small, "a.txt", b"x" * 20_000)
    assert full.status_code == 413
    assert "Your files would take more than 45 kB" in full.json()["error"]["message"]
    await small.client.delete(f"/api/files/{first['id']}")
    assert (await upload(small, "a.txt", b"x" * 20_000)).status_code == 201
    assert (await small.client.get("/api/files")).json() == {"bytes": 40_000, "quota": 45_000, "largest": 20_000}


async def test_a_disk_that_fills_up_during_an_upload(make_api: MakeApi, tmp_path: Path):
    """Refused as what may work later, and nothing of it stays. With space again the same one is taken."""
    content = b"a line of a long text\n" * 20_000
    head = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    body = head + content + b"\r\n--cut--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=cut", "Content-Length": str(len(body))}
    with small_disk(tmp_path / "disk", "4m") as disk:
        filler = disk / "filler"

        async def sent(before_the_end: Callable[[], None]) -> AsyncIterator[bytes]:
            yield body[: len(body) // 2]
            await asyncio.to_thread(before_the_end)
            yield body[len(body) // 2 :]

        async with make_api(folder=disk) as api:
            kept = (await upload(api, "cat.png", png(30, 20))).json()
            refused = await api.client.post("/api/files", content=sent(lambda: fill(filler)), headers=headers)
            assert refused.status_code == 503, refused.text
            assert "no space" in refused.json()["error"]["message"]
            assert int(refused.headers["retry-after"]) > 0
            filler.unlink()
            assert (await api.client.get("/api/files")).json()["bytes"] == kept["bytes"]
            taken = await api.client.post("/api/files", content=sent(lambda: None), headers=headers)
            assert taken.status_code == 201, taken.text
            for file, expected in ((taken.json(), content), (kept, png(30, 20))):
                assert (await api.client.get(f"/api/files/{file['id']}")).content == expected


async def test_an_upload_is_one_file_in_a_form(api: Api):
    """Several at once, none, JSON, and a form that is none are refused, each with its reason."""
    many = [("file", (f"{n}.txt", b"x", "text/plain")) for n in range(200)]
    answers = [
        (await api.client.post("/api/files", files=many), 422, "Send one file"),
        (await api.client.post("/api/files", files=many[:2]), 422, "Send one file"),
        (await api.client.post("/api/files", json={"file": "x"}), 415, "multipart/form-data"),
        (await api.client.post("/api/runs", files=many[:1]), 415, "Send JSON"),
    ]
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    no_file = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--x--\r\n'
    answers += [(await api.client.post("/api/files", content=no_file, headers=form), 422, "Send one file")]
    for body in (b"no form", b"--x\r\nbroken", b"--x\r\nContent-Disposition: nothing\r\n\r\nx\r\n--x--\r\n"):
        answers += [(await api.client.post("/api/files", content=body, headers=form), (400, 422), "")]
    answers += [
        (
            await api.client.post("/api/files", content=b"x", headers={"Content-Type": form["Content-Type"][:19]}),
            400,
            "",
        )
    ]
    for answer, status, message in answers:
        assert answer.status_code in (status if isinstance(status, tuple) else (status,)), answer.text
        assert message in answer.json()["error"]["message"]


async def test_a_part_is_a_file_or_content_never_both(api: Api):
    """Whatever is half of either is a 422 with the name of the field."""
    for part in (
        {"type": "image"},
        {"type": "image", "file_id": "x", "data": "QUJD"},
        {"type": "image", "data": "QUJD"},
        {"type": "file"},
        {"type": "file", "file_id": "x", "text": "y"},
    ):
        answer = await api.client.post("/api/runs", json={"message": [part]})
        assert answer.status_code == 422, part
    missing = await api.client.post("/api/runs", json={"message": [{"type": "image", "file_id": "nothing"}]})
    assert (missing.status_code, "Upload it again" in missing.text) == (404, True)


async def test_an_export_carries_its_files(make_api: MakeApi):
    """Into an installation that does not have them, and into one that does, which stores none twice."""
    async with make_api(identify=identify_by_header) as api:
        api.client.headers.update(A)
        files = [(await upload(api, *one)).json() for one in (("cat.png", png(5, 5)), ("a.pdf", pdf("zebra")))]
        run_id = await api.start([{"type": "file", "file_id": file["id"]} for file in files])  # pyrefly: ignore[bad-argument-type]
        api.provider.say(TextDelta("a cat"), Finished())
        await api.world.ended(run_id)
        source = (await api.client.get(f"/api/runs/{run_id}")).json()["conversation_id"]
        text = (await api.client.get(f"/api/conversations/{source}/export?format=json")).text
        for who in (A, B):
            api.client.headers.update(who)
            before = (await api.client.get("/api/files")).json()["bytes"]
            brought = (await api.client.post("/api/conversations/import", json={"text": text})).json()
            target = brought["conversations"][0]["id"]
            conversation = (await api.client.get(f"/api/conversations/{target}")).json()
            parts = conversation["messages"][0]["parts"]
            assert all("data" not in part for part in parts)
            shown = [(await api.client.get(f"/api/files/{part['file_id']}")).content for part in parts]
            assert shown == [png(5, 5), pdf("zebra")]
            after = (await api.client.get("/api/files")).json()["bytes"]
            assert after - before == (0 if who is A else sum(map(len, shown)))
        unknown = text.replace(files[0]["id"], "other").replace(files[1]["id"], "another")
        for broken in (unknown.replace('"data":"', '"data":"!', 1), unknown.replace('"width":5', '"width":"wide"')):
            answer = await api.client.post("/api/conversations/import", json={"text": broken})
            assert answer.status_code == 422, answer.text


async def test_both_clients_attach_files(api: Api, tmp_path: Path):
    """From a path and from bytes; a refusal is an error with its message."""
    path = tmp_path / "cat.png"
    path.write_bytes(png(7, 7))
    async with AsyncClient(api.url) as client:
        picture = await client.upload(path)
        assert (picture.type, picture.name) == ("image", "cat.png")
        assert await client.download(picture.file_id) == png(7, 7)
        with pytest.raises(InvalidInput, match="ZIP archive"):
            await client.upload(zip_archive(), "a.png")

        def in_thread() -> None:
            with Client(api.url) as waiting:
                text = waiting.upload(b"it says zebra", "notes.txt")
                api.provider.say(TextDelta("a zebra"), Finished())
                run = waiting.start([TextPart("what is it?"), picture, text], model=api.world.model)
                assert run.final().text == "a zebra"
                waiting.delete_file(text.file_id)
                with pytest.raises(NotFound):
                    waiting.download(text.file_id)

        await asyncio.to_thread(in_thread)
    read = api.provider.requests[-1].messages[0].parts[2]
    assert isinstance(read, FilePart)
    assert read.text == "it says zebra"


async def test_a_file_of_a_temporary_chat_is_in_memory_only(api: Api):
    """It goes with the chat, and no other chat takes it; one that is stored is not for a temporary chat."""
    form = {"file": ("a.txt", b"zebra", "text/plain")}
    hidden = (await api.client.post("/api/files?temporary=true", files=form)).json()["id"]
    stored = (await api.client.post("/api/files", files=form)).json()["id"]
    assert (await api.client.get("/api/files")).json()["bytes"] == len(b"zebra")
    for file_id, temporary in ((hidden, False), (stored, True)):
        body = {"message": [{"type": "file", "file_id": file_id}], "temporary": temporary}
        answer = await api.client.post("/api/runs", json=body)
        assert (answer.status_code, "Attach them again" in answer.text) == (422, True)
    run_id = await api.start([{"type": "file", "file_id": hidden}], temporary=True)  # pyrefly: ignore[bad-argument-type]
    api.provider.say(TextDelta("read"), Finished())
    await api.world.ended(run_id)
    read = api.provider.requests[-1].messages[0].parts[0]
    assert isinstance(read, FilePart)
    assert read.text == "zebra"
    assert (await api.client.get(f"/api/files/{hidden}")).content == b"zebra"
    conversation_id = (await api.client.get(f"/api/runs/{run_id}")).json()["conversation_id"]
    await api.client.delete(f"/api/conversations/{conversation_id}")
    assert (await api.client.get(f"/api/files/{hidden}")).status_code == 404


async def test_a_shared_conversation_shows_its_files(api: Api):
    """To whoever has the link, with the same headers, and no other file of its owner."""
    sent, other = [(await upload(api, "cat.png", png(n, 2))).json() for n in (2, 3)]
    run_id = await api.start([{"type": "image", "file_id": sent["id"]}])  # pyrefly: ignore[bad-argument-type]
    api.provider.say(TextDelta("a cat"), Finished())
    await api.world.ended(run_id)
    conversation_id = (await api.client.get(f"/api/runs/{run_id}")).json()["conversation_id"]
    share_id = (await api.client.post(f"/api/conversations/{conversation_id}/share", json={})).json()["share_id"]
    shown = await api.client.get(f"/api/shares/{share_id}/files/{sent['id']}")
    assert (shown.status_code, shown.content) == (200, png(2, 2))
    assert "sandbox" in shown.headers["content-security-policy"]
    assert (await api.client.get(f"/api/shares/{share_id}/files/{other['id']}")).status_code == 404
    assert (await api.client.get(f"/api/shares/nothing/files/{sent['id']}")).status_code == 404
