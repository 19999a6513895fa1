"""Pictures and files of a client, in questions and in the results of its tools, as the model's server is asked."""

from __future__ import annotations

import json
import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from streamchat.providers.anthropic.messages import Anthropic
from streamchat.providers.catalog import Catalog, Source
from streamchat.providers.openai.chat import OpenAIChat
from streamchat.providers.openai.responses import OpenAIResponses
from tests.integration.protocols.conftest import Api, serving_api
from tests.support.loop import LoopThread
from tests.support.made_files import PICTURE, pdf, png

ADAPTERS: dict[str, Any] = {"chat": OpenAIChat, "responses": OpenAIResponses, "messages": Anthropic}
URL = f"data:image/png;base64,{PICTURE}"
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}


class Recording(ThreadingHTTPServer):
    """A model's server that keeps what it was asked, and a site with files."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Any] = []
        self.files: dict[str, tuple[str, bytes]] = {
            "/a.png": ("image/png", png(7, 5)),
            "/a.pdf": ("", pdf("From afar")),
        }
        self.fetched: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Recording  # pyrefly: ignore[bad-override-mutable-attribute] it is one

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body)
        self._send("text/event-stream", _answer(self.path))

    def do_GET(self) -> None:
        self.server.fetched.append(self.path)
        if self.path == "/private":
            self.send_response(302)
            self.send_header("Location", "http://10.0.0.1/a.png")
            self.end_headers()
        elif self.path in self.server.files:
            self._send(*self.server.files[self.path])
        else:
            self.send_error(404)

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


def _answer(path: str) -> bytes:
    def event(data: dict[str, Any]) -> str:
        return f"event: {data.get('type', 'message')}\ndata: {json.dumps(data)}\n\n"

    if path.endswith("/messages"):
        block = {"type": "text", "text": ""}
        events = [
            {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "usage": {}}},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ]
    elif path.endswith("/responses"):
        item = {"id": "i", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}
        done = {"id": "r", "status": "completed", "output": [item]}
        events = [{"type": "response.completed", "sequence_number": 0, "response": done}]
    else:
        choice = {"index": 0, "delta": {"content": "ok"}, "finish_reason": "stop"}
        return (event({"choices": [choice]}) + "data: [DONE]\n\n").encode()
    return "".join(map(event, events)).encode()


@pytest.fixture
def site() -> Iterator[Recording]:
    server = Recording()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def api(tmp_path: Path, loop: LoopThread, site: Recording) -> Iterator[Api]:
    """Models of each API that see and read PDFs, or do neither (``blind``)."""

    async def build() -> Catalog:
        sources = []
        for name, adapter in ADAPTERS.items():
            provider = adapter(base_url=site.url if name == "messages" else f"{site.url}/v1")
            sources.append(Source(name, provider, open_ended=True, capabilities_of=provider.capabilities_of))
        return Catalog(sources)

    serving = serving_api(tmp_path, loop.run(build()), loop, [])
    api = loop.run(serving.__aenter__())
    # The site of the test is on this machine; any other private address stays refused.
    api.services.uploads.allowed = lambda address: str(address) == "127.0.0.1"
    yield api
    for client in api.open:
        client.close()
    loop.run(serving.__aexit__(None, None, None))


SEEING = {"chat": "chat:gpt-4o", "responses": "responses:gpt-4o", "messages": "messages:claude-3-5-sonnet"}
BLIND = {"chat": "chat:gpt-4", "responses": "responses:gpt-4", "messages": "chat:gpt-4"}


def tool_result(protocol: str, model: str, output: Any) -> tuple[str, dict[str, Any]]:
    """The request of a client that brings this output of its tool: path and body."""
    if protocol == "chat":
        call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        messages = [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": output},
        ]
        tools = [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}]
        return "/v1/chat/completions", {"model": model, "messages": messages, "tools": tools}
    if protocol == "responses":
        items = [
            {"role": "user", "content": "Look."},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": output},
        ]
        tools = [{"type": "function", "name": "look", "parameters": SCHEMA}]
        return "/v1/responses", {"model": model, "input": items, "tools": tools}
    messages = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": output}]},
    ]
    tools = [{"name": "look", "input_schema": SCHEMA}]
    return "/v1/messages", {"model": model, "max_tokens": 99, "messages": messages, "tools": tools}


def outputs(protocol: str, site: Recording) -> Any:
    """A text, a picture inside, one at an address, and a PDF."""
    paper = b64encode(pdf("On paper")).decode()
    if protocol == "chat":
        return [
            {"type": "text", "text": "Seen:"},
            {"type": "image_url", "image_url": {"url": URL}},
            {"type": "image_url", "image_url": {"url": f"{site.url}/a.png"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{paper}"}},
        ]
    if protocol == "responses":
        return [
            {"type": "input_text", "text": "Seen:"},
            {"type": "input_image", "image_url": URL},
            {"type": "input_image", "image_url": f"{site.url}/a.png"},
            {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{paper}"},
        ]
    document = {"type": "base64", "media_type": "application/pdf", "data": paper}
    return [
        {"type": "text", "text": "Seen:"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
        {"type": "image", "source": {"type": "url", "url": f"{site.url}/a.png"}},
        {"type": "document", "source": document, "title": "a.pdf", "context": "Of last year."},
    ]


@pytest.mark.parametrize("protocol", list(ADAPTERS))
@pytest.mark.parametrize("wire", list(ADAPTERS))
def test_what_a_tool_of_the_client_saw(api: Api, site: Recording, protocol: str, wire: str):
    """Both pictures and the text of the PDF are in the request to a model that sees, in each API's shape."""
    path, body = tool_result(protocol, SEEING[wire], outputs(protocol, site))
    answer = api.http.post(path, json=body)
    assert answer.is_success, answer.text
    told = json.dumps(site.asked[-1])
    assert told.count(PICTURE) == 2
    assert "On paper" in told
    assert "Seen:" in told
    assert ("Of last year." in told) == (protocol == "messages")
    if wire == "chat":
        *_, result, pictures = site.asked[-1]["messages"]
        assert (result["role"], pictures["role"]) == ("tool", "user")
        assert [part["type"] for part in pictures["content"]] == ["text", "image_url"] * 2
    elif wire == "responses":
        kinds = [part["type"] for part in site.asked[-1]["input"][-1]["output"]]
        assert kinds == ["input_text", "input_image", "input_image", "input_text"]
    else:
        (block,) = site.asked[-1]["messages"][-1]["content"]
        assert [part["type"] for part in block["content"]] == ["text", "image", "image", "text"]
    stored = api.conversation(answer.headers["x-conversation-id"])[-1]["parts"][0]["result"]
    assert PICTURE not in json.dumps(stored)  # as files
    ids = re.findall(r'"file_id": "([^"]+)"', json.dumps(stored))
    contents = [api.http.get(f"/api/files/{file_id}").content for file_id in ids]
    assert contents.count(b64decode(PICTURE)) == 2


@pytest.mark.parametrize("protocol", list(ADAPTERS))
def test_a_model_that_does_not_see(api: Api, site: Recording, protocol: str):
    """It gets the text, and is told of the pictures."""
    path, body = tool_result(protocol, BLIND[protocol], outputs(protocol, site))
    assert api.http.post(path, json=body).is_success
    told = json.dumps(site.asked[-1])
    assert PICTURE not in told
    assert "On paper" in told
    assert told.count("A picture (image/png") == 2


def test_the_result_of_a_stored_response(api: Api, site: Recording):
    """A picture in the output of a call of a stored response; ``input_items`` names the file."""
    client = api.openai()
    path, body = tool_result("responses", SEEING["responses"], "nothing yet")
    first = client.responses.create(**body)
    items = client.responses.input_items.list(first.id, order="asc").data
    output = next(item for item in items if item.type == "function_call_output")
    assert output.output == "nothing yet"
    uploaded = api.http.post("/api/files", files={"file": ("b.png", png(9, 4))}).json()["id"]
    path, body = tool_result("responses", SEEING["responses"], [{"type": "input_image", "file_id": uploaded}])
    second = client.responses.create(**body)
    assert b64encode(png(9, 4)).decode() in json.dumps(site.asked[-1])
    listed = api.http.get(f"/v1/responses/{second.id}/input_items?order=asc").json()["data"]
    assert listed[-1]["output"][0]["file_id"] == uploaded


def question(protocol: str, model: str, part: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if protocol == "responses":
        return "/v1/responses", {"model": model, "input": [{"role": "user", "content": [part]}]}
    body = {"model": model, "messages": [{"role": "user", "content": [part]}]}
    if protocol == "chat":
        return "/v1/chat/completions", body
    return "/v1/messages", {**body, "max_tokens": 99}


def files(protocol: str, site: Recording, file_id: str) -> list[dict[str, Any]]:
    """A PDF in each way in which the protocol carries one, or points to it."""
    data, url = b64encode(pdf("On paper")).decode(), f"{site.url}/a.pdf"
    if protocol == "chat":
        inside = f"data:application/pdf;base64,{data}"
        return [{"type": "file", "file": {"file_data": inside}}, {"type": "file", "file": {"file_id": file_id}}]
    if protocol == "responses":
        return [
            {"type": "input_file", "filename": "a.pdf", "file_data": data},
            {"type": "input_file", "file_url": url},
            {"type": "input_file", "file_id": file_id},
        ]
    sources = [
        {"type": "base64", "media_type": "application/pdf", "data": data},
        {"type": "url", "url": url},
        {"type": "file", "file_id": file_id},
    ]
    return [{"type": "document", "source": source} for source in sources]


@pytest.mark.parametrize("protocol", list(ADAPTERS))
def test_a_pdf_in_a_question(api: Api, site: Recording, protocol: str):
    """As it is for a model that reads PDFs, as text for any other; stored as a file."""
    uploaded = api.http.post("/api/files", files={"file": ("a.pdf", pdf("Uploaded"))}).json()["id"]
    for part in files(protocol, site, uploaded):
        for model, native in ((SEEING[protocol], True), (BLIND[protocol], False)):
            path, body = question(protocol, model, part)
            answer = api.http.post(path, json=body)
            assert answer.is_success, answer.text
            told = json.dumps(site.asked[-1])
            assert ("JVBERi0" in told) is native
            assert any(text in told for text in ("On paper", "From afar", "Uploaded")) is not native
            (asked, _) = api.conversation(answer.headers["x-conversation-id"])
            assert asked["parts"][-1]["file_id"]


@pytest.mark.parametrize("protocol", list(ADAPTERS))
def test_what_is_not_fetched(api: Api, site: Recording, protocol: str):
    """Private addresses, also by a redirect; what is not there, or cannot be attached: an error, and no answer."""
    site.files["/odd"] = ("application/zip", b"PK\x03\x04" + bytes(50))
    paths = ("/private", "/nothing", "/odd")
    wrong = [*(site.url + path for path in paths), "http://10.0.0.1/a.png", "http://localhost/a.png", "http://[::1"]
    wrong += ["ftp://example.com/a.png", "http://user:pw@example.com/a.png"]
    for url in wrong:
        part = {
            "chat": {"type": "image_url", "image_url": {"url": url}},
            "responses": {"type": "input_image", "image_url": url},
            "messages": {"type": "image", "source": {"type": "url", "url": url}},
        }[protocol]
        for path, body in (question(protocol, SEEING[protocol], part), tool_result(protocol, SEEING[protocol], [part])):
            answer = api.http.post(path, json=body)
            assert answer.status_code in (400, 415), (url, answer.text)
            assert answer.json()["error"]["type"] == "invalid_request_error"
    assert site.asked == []
    assert api.http.get("/api/conversations").json()["conversations"] == []


def test_blocks_that_are_not_known(api: Api):
    """Refused by name, instead of being left out: citations, blocks and sources that nothing here reads."""
    client = api.anthropic()
    text = {"type": "text", "media_type": "text/plain", "data": "x"}
    wrong: list[Any] = [
        {"type": "document", "source": text, "citations": {"enabled": True}},
        {"type": "container_upload", "file_id": "f"},
        {"type": "image", "source": {"type": "elsewhere"}},
        {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "tool_reference", "tool_name": "x"}]},
    ]
    for block in wrong:
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(
                model=SEEING["messages"], max_tokens=9, messages=[{"role": "user", "content": [block]}]
            )
    with pytest.raises(openai.NotFoundError):
        path, body = tool_result("responses", SEEING["responses"], [{"type": "input_file", "file_id": "nobody"}])
        api.openai().responses.create(**body)
