"""How connections and providers fail, over loopback through the real SDKs: what a person is told, what is kept."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from streamchat.chat import events as e
from streamchat.errors import ProviderError, StreamBroken
from tests.integration.providers.replay import Reply, replay
from tests.unit.providers import wire
from tests.unit.providers.asking import KINDS, Heard, ask, provider_at, question, user

both = pytest.mark.parametrize("kind", KINDS)
KEY = "sk-CANARY0123456789abcdef"


async def played(kind: str, *replies: Reply, **more: object) -> tuple[Heard, int]:
    async with replay(*replies) as server:
        heard = await ask(kind, server.url, **more)  # pyrefly: ignore[bad-argument-type]
    return heard, len(server.asked)


def status(code: int, type_: str = "", message: str = "no", *, param: str | None = None, **headers: str) -> Reply:
    body = json.dumps({"type": "error", "error": {"type": type_, "message": message, "code": param}})
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(body.encode(), status=code, content_type="application/json", headers=names)


def told(heard: Heard) -> ProviderError:
    assert heard.error is not None
    assert heard.reason is None
    assert not any(isinstance(event, e.Finished) for event in heard.events)
    sentence = str(heard.error)
    assert "<" not in sentence
    assert "Traceback" not in sentence
    assert len(sentence) < 500
    return heard.error


@both
async def test_nobody_there(kind: str) -> None:
    """Connection refused: the host is named, Retry makes sense, a local address gets a hint."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    error = told(await ask(kind, url))
    assert (error.kind, error.retryable) == ("connect", True)
    assert "127.0.0.1" in str(error)
    assert "local server" in str(error)


@both
async def test_no_such_host(kind: str) -> None:
    """A name that does not resolve reads like an address that nobody answers."""
    assert told(await ask(kind, "http://nowhere.invalid")).kind == "connect"


@both
async def test_tls_to_a_plain_port(kind: str) -> None:
    """A handshake that never ends is bounded by the connect deadline."""
    async with replay(Reply(before=30)) as server:
        start = asyncio.get_running_loop().time()
        error = told(await ask(kind, server.url.replace("http:", "https:"), connect_timeout=0.5))
        assert asyncio.get_running_loop().time() - start < 10
    assert error.kind == "connect"


CASES = [
    (400, "invalid_request_error", "context_length_exceeded", "maximum context length is 8", "context-too-long", False),
    (400, "invalid_request_error", None, "prompt is too long: 210000 tokens", "context-too-long", False),
    (400, "invalid_request_error", "content_filter", "The response was filtered", "refused", False),
    (400, "invalid_request_error", None, "Unknown parameter: x", "bad-request", False),
    (401, "authentication_error", "invalid_api_key", "no", "bad-key", False),
    (403, "permission_error", None, "not for you", "forbidden", False),
    (404, "not_found_error", "model_not_found", "The model `m` does not exist", "model-not-found", False),
    (404, "not_found_error", None, "model: m", "model-not-found", False),
    (404, "", None, "Not Found", "not-an-api", False),
    (413, "request_too_large", None, "Request exceeds the maximum size", "too-large", False),
    (422, "invalid_request_error", None, "no", "bad-request", False),
    (429, "rate_limit_error", None, "slow", "rate-limited", True),
    (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota", "quota", False),
    (400, "invalid_request_error", None, "Your credit balance is too low to access the API", "quota", False),
    (402, "billing_error", None, "pay", "quota", False),
    (408, "", None, "no", "timeout", True),
    (500, "api_error", None, "Internal server error", "provider-broken", True),
    (500, "server_error", None, "no", "provider-broken", True),
    (502, "", None, "no", "provider-broken", True),
    (503, "service_unavailable_error", None, "no", "overloaded", True),
    (504, "timeout_error", None, "no", "timeout", True),
    (529, "overloaded_error", None, "Overloaded", "overloaded", True),
]  # fmt: skip


@both
@pytest.mark.parametrize(("code", "type_", "param", "message", "want", "retryable"), CASES)
async def test_error_status(
    kind: str, code: int, type_: str, param: str | None, message: str, want: str, retryable: bool
) -> None:
    """Each status is its kind, asked for once: the SDK never retries by itself."""
    heard, requests = await played(kind, status(code, type_, message, param=param))
    error = told(heard)
    assert (error.kind, error.retryable, error.status) == (want, retryable, code)
    assert requests == 1


@both
@pytest.mark.parametrize("code", [401, 403, 404, 500, 502, 503, 529])
async def test_html_is_never_shown(kind: str, code: int) -> None:
    """An error page of a proxy is an error with a sentence of ours."""
    page = b"<!DOCTYPE html><html><body><h1>Bad gateway</h1><script>alert(1)</script></body></html>"
    error = told((await played(kind, Reply(page, status=code, content_type="text/html")))[0])
    assert "gateway" not in str(error).lower()
    assert error.status == code


@both
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "86400"}, 86400.0),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "-3"}, 0.0),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "soon"}, None),
        ({}, None),
    ],
)
async def test_retry_after(kind: str, headers: dict[str, str], seconds: float | None) -> None:
    """The wait that the provider asks for is told at once, whatever its length; nobody sleeps here."""
    heard, requests = await played(kind, status(429, "rate_limit_error", **headers))
    assert told(heard).retry_after == seconds
    assert requests == 1


@both
async def test_retry_after_as_a_date(kind: str) -> None:
    """An HTTP date counts from the provider's own clock."""
    now = datetime.now(UTC) - timedelta(hours=3)
    dates = {"Date": format_datetime(now), "retry_after": format_datetime(now + timedelta(seconds=30))}
    error = told((await played(kind, status(429, "rate_limit_error", **dates)))[0])
    assert error.retry_after == pytest.approx(30, abs=1)


@both
async def test_no_key_in_any_sentence(kind: str) -> None:
    """Neither the key, nor the part of it that providers quote, nor any other key reaches a sentence."""
    for code in (400, 401, 403, 429, 500):
        quoted = f"Incorrect API key provided: {KEY[:8]}*****{KEY[-4:]}, {KEY}, gsk_ABCDEFGH12345, Bearer abc.def"
        heard, _ = await played(kind, status(code, "invalid_request_error", quoted), api_key=KEY)
        sentence = str(told(heard))
        for secret in (KEY, KEY[:8], KEY[-4:], "gsk_", "abc.def"):
            assert secret not in sentence


@both
async def test_vendor_without_a_key(kind: str) -> None:
    """The vendor's own address without a key is refused before any request."""
    from streamchat.providers.anthropic.messages import Anthropic
    from streamchat.providers.openai.chat import OpenAIChat
    from streamchat.providers.openai.responses import OpenAIResponses

    provider = {"chat": OpenAIChat, "responses": OpenAIResponses, "anthropic": Anthropic}[kind]()
    with pytest.raises(ProviderError) as caught:
        await anext(provider.stream(question()))
    assert caught.value.kind == "bad-key"
    await provider.close()


@both
async def test_the_environment_gives_no_key_to_others(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not the vendor's never gets the vendor's key from the environment."""
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, KEY)
    async with replay(Reply(wire.whole(kind, "a"))) as server:
        await ask(kind, server.url)
    assert KEY not in str(server.asked[0].headers)


@both
async def test_too_large_names_the_attachment(kind: str) -> None:
    """The person is told which attachment is the largest."""
    from streamchat.chat.messages import FilePart, ImagePart

    parts = ("look", ImagePart("image/png", "A" * 400_000, "photo.png"), FilePart("notes.txt", "x"))
    heard, _ = await played(kind, status(413), request=question(user(*parts)))
    assert "photo.png (0.3 MB)" in str(told(heard))


@both
async def test_redirect_is_not_followed(kind: str) -> None:
    """A redirect would carry the key elsewhere."""
    async with replay(Reply(wire.whole(kind, "a"))) as other:
        moved = Reply(status=307, headers={"Location": f"{other.url}/x"})
        error = told((await played(kind, moved))[0])
        assert other.asked == []
    assert error.kind == "not-an-api"


@both
async def test_endless_error_body(kind: str) -> None:
    """The body of an error that never ends is read no further than it helps."""
    async with replay(Reply((b"x" * 4096 for _ in range(100_000)), status=500)) as server:
        error = told(await ask(kind, server.url))
        assert error.kind == "provider-broken"
        assert server.sent < 20_000_000
    assert told((await played(kind, Reply(b"{", status=500, ending="reset")))[0]).status == 500


@both
async def test_endless_header(kind: str) -> None:
    """A head that never ends is given up."""
    heard, _ = await played(kind, Reply(headers={f"X-{i}": "y" * 1000 for i in range(500)}))
    assert told(heard).retryable


@both
@pytest.mark.parametrize(
    ("ending", "chunked", "want"),
    [("cut", True, "cut"), ("reset", True, "reset"), ("complete", True, "cut"), ("complete", False, "cut")],
)
async def test_connection_ends_in_the_middle(kind: str, ending: str, chunked: bool, want: str) -> None:
    """However the bytes end before the provider's own end: broken off, the words kept, Retry makes sense."""
    body = [wire.said(kind, "one ", "two "), b": wait\n\n"]
    heard, _ = await played(kind, Reply(body, ending=ending, chunked=chunked, between=0.02))  # pyrefly: ignore[bad-argument-type]
    error = told(heard)
    assert isinstance(error, StreamBroken)
    assert (heard.text, error.retryable) == ("one two ", True)
    assert error.kind in (want, "cut")


@both
async def test_cut_in_the_middle_of_an_event(kind: str) -> None:
    """The unfinished event is lost, what came before it is not."""
    heard, _ = await played(kind, Reply(wire.said(kind, "one ") + wire.word(kind, "two")[:-9]))
    assert (heard.text, told(heard).kind) == ("one ", "cut")


@both
@pytest.mark.parametrize("ending", ["complete", "cut", "reset", "open"])
async def test_what_follows_the_end_does_not_matter(kind: str, ending: str) -> None:
    """Once the provider ended the answer, a missing marker, an open socket or a reset change nothing."""
    body = wire.said(kind, "all") + wire.finish(kind)
    for data in (body, body + wire.marker(kind)):
        heard, _ = await played(kind, Reply([data, b": x\n\n"], ending=ending))  # pyrefly: ignore[bad-argument-type]
        assert (heard.text, heard.reason, heard.error) == ("all", "stop", None)


@both
async def test_pings_behind_the_end_do_not_keep_it_open(kind: str) -> None:
    """A server that keeps the connection busy after its end does not hold the answer back."""
    body = [wire.said(kind, "all") + wire.finish(kind), *[b": ping\n\n"] * 200]
    async with replay(Reply(body, between=0.1)) as server, asyncio.timeout(10):
        heard = await ask(kind, server.url)
    assert (heard.text, heard.reason) == ("all", "stop")


@both
@pytest.mark.parametrize(
    ("type_", "want", "retryable"),
    [
        ("overloaded_error", "overloaded", True),
        ("rate_limit_error", "rate-limited", True),
        ("rate_limit_exceeded", "rate-limited", True),
        ("api_error", "provider-broken", True),
        ("server_error", "provider-broken", True),
        ("insufficient_quota", "quota", False),
        ("authentication_error", "bad-key", False),
        ("something_new", "error-event", True),
    ],
)
async def test_error_inside_the_stream(kind: str, type_: str, want: str, retryable: bool) -> None:
    """Status 200 says nothing: the error's own words do. The partial is kept."""
    for before in ("", "partial"):
        heard, _ = await played(kind, Reply(wire.said(kind, before) + wire.error(kind, type_)))
        error = told(heard)
        assert (error.kind, error.retryable, heard.text) == (want, retryable, before)
        assert not isinstance(error, StreamBroken)


@both
@pytest.mark.parametrize("data", ["overloaded", "{}", '{"detail": "no"}', "[1]", '"no"', "{bad", '{"message": "no"}'])
async def test_event_named_error(kind: str, data: str) -> None:
    """An event whose name is error is one, whatever is in it."""
    heard, _ = await played(kind, Reply(wire.said(kind, "a") + wire.frame(data, "error")))
    assert told(heard).kind in ("error-event", "overloaded")
    assert heard.text == "a"


@both
@pytest.mark.parametrize(
    ("data", "want"),
    [(b"data: {bad\n\n", "bad-json"), (b'data: {"a":"\xff"}\n\n', "bad-encoding"), (b"data: [1]\n\n", "bad-json")],
)
async def test_undecodable_event(kind: str, data: bytes, want: str) -> None:
    """What cannot be read is never skipped: text would be missing and nobody would know."""
    heard, _ = await played(kind, Reply(wire.said(kind, "a ") + data + wire.word(kind, "b")))
    error = told(heard)
    assert isinstance(error, StreamBroken)
    assert (error.kind, heard.text) == (want, "a ")


@both
async def test_odd_framing_is_no_fault(kind: str) -> None:
    """Empty data, comments, ids, a byte order mark, CR and CRLF, data lines in pieces, no event names."""
    extra = b"data:\n\n: ping\n\nid: 4\n\nevent: nothing\n\ndata: \n\nretry: 100\n\n"
    body = wire.said(kind, "a", "b ") + extra + wire.finish(kind) + wire.marker(kind)
    unnamed = b"\n".join(line for line in body.split(b"\n") if not line.startswith(b"event: "))
    unnamed = unnamed.replace(b"\n\n\n", b"\n\n")
    for data in (body, b"\xef\xbb\xbf" + body, body.replace(b"\n", b"\r\n"), body.replace(b"\n", b"\r"), unnamed):
        heard, _ = await played(kind, Reply(data))
        assert (heard.text, heard.reason, heard.error) == ("ab ", "stop", None)


@both
@pytest.mark.parametrize("content_type", ["text/html", "text/event-stream", "application/json"])
async def test_a_page_instead_of_a_stream(kind: str, content_type: str) -> None:
    """HTML with status 200 is an address that is no API, whatever its content type says."""
    heard, _ = await played(kind, Reply(b"\n <html>welcome</html>", content_type=content_type))
    assert told(heard).kind == "not-an-api"


@both
@pytest.mark.parametrize("body", [b"", b"\n\n", b": hello\n\n: hello\n\n"])
async def test_nothing_instead_of_a_stream(kind: str, body: bytes) -> None:
    """Zero events with status 200 are an error, not an empty answer."""
    assert told((await played(kind, Reply(body)))[0]).kind == "empty"


@both
@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", ""])
async def test_a_whole_message_instead_of_a_stream(kind: str, content_type: str) -> None:
    """A server that ignores streaming is understood all the same."""
    body = json.dumps(wire.message(kind, "hello"), indent=1).encode()
    heard, _ = await played(kind, Reply(body, content_type=content_type))
    assert (heard.text, heard.reason, heard.error) == ("hello", "stop", None)
    assert heard.message.usage is not None
    assert (heard.message.usage.input, heard.message.usage.output) == (3, 2)


@both
@pytest.mark.parametrize(
    ("body", "want"),
    [
        (b'{"error": {"type": "overloaded_error", "message": "no"}}', "overloaded"),
        (b'{"detail": "not here"}', "not-an-api"),
        (b'{"choices": 4}', "not-an-api"),
        (b'{"a": 1}\n{"a": 2}\n', "not-an-api"),
        (b"hello", "empty"),
    ],
)
async def test_other_json_instead_of_a_stream(kind: str, body: bytes, want: str) -> None:
    """An error, or JSON that is no answer, with status 200."""
    assert told((await played(kind, Reply(body, content_type="application/json")))[0]).kind == want


@both
async def test_compressed_although_nobody_asked(kind: str) -> None:
    """A proxy that compresses is understood; one that lies about it breaks the answer off."""
    packed = gzip.compress(wire.whole(kind, "hello"))
    heard, _ = await played(kind, Reply(packed, headers={"Content-Encoding": "gzip"}))
    assert (heard.text, heard.error) == ("hello", None)
    heard, _ = await played(kind, Reply(wire.whole(kind, "hello"), headers={"Content-Encoding": "gzip"}))
    assert told(heard).kind == "bad-encoding"


async def closes(kind: str, moment: str) -> float:
    """Seconds from cancelling an answer to the end of its connection at the provider."""
    body = {"before a word": wire.begin(kind), "in the words": wire.said(kind, "a")}.get(moment, b"")
    async with replay(Reply(body, before=30 if moment == "before the head" else 0, ending="open")) as server:
        provider = provider_at(kind, server.url)
        heard: list[e.Event] = []

        async def listen() -> None:
            async for event in provider.stream(question()):
                heard.append(event)

        task = asyncio.create_task(listen())
        async with asyncio.timeout(20):
            while not server.asked or (moment == "in the words" and not heard):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            start = asyncio.get_running_loop().time()
            task.cancel()
            await server.gone.wait()
        taken = asyncio.get_running_loop().time() - start
        with pytest.raises(asyncio.CancelledError):
            await task
        await provider.close()
        return taken


@both
@pytest.mark.parametrize("moment", ["before the head", "before a word", "in the words"])
async def test_cancelling_closes_the_connection(kind: str, moment: str) -> None:
    """Cancelling reaches the provider within 300 ms; a busy machine gets more than one try."""
    assert any([await closes(kind, moment) < 0.3 for _ in range(2)]) or await closes(kind, moment) < 0.3


@both
async def test_leaving_the_loop_closes_the_connection(kind: str) -> None:
    """A reader that has enough and closes the generator ends the request."""
    async with replay(Reply(wire.said(kind, "a"), ending="open")) as server:
        provider = provider_at(kind, server.url)
        events = provider.stream(question())
        assert isinstance(await anext(events), e.TextDelta)
        await events.aclose()
        async with asyncio.timeout(5):
            await server.gone.wait()
        await provider.close()


@both
async def test_pings_are_no_events(kind: str) -> None:
    """What keeps a connection open says nothing: a deadline for content must not see it."""
    ping = b'event: ping\ndata: {"type": "ping"}\n\n: comment\n\n'
    async with replay(Reply([wire.begin(kind), *[ping] * 5], ending="open")) as server:
        provider = provider_at(kind, server.url)
        events = provider.stream(question())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await anext(events)
        await provider.close()


@both
async def test_words_arrive_as_they_are_said(kind: str) -> None:
    """Nothing is held back: the provider says each word only when the one before it was heard."""
    heard: list[str] = []

    def pieces() -> Iterator[bytes]:
        yield wire.begin(kind)
        for count in range(5):
            for _ in range(1000):
                if len(heard) == count:
                    break
                yield b""
            yield wire.word(kind, f"w{count} ")

    async with replay(Reply(pieces(), between=0.01)) as server:
        provider = provider_at(kind, server.url)
        with pytest.raises(StreamBroken):
            async for event in provider.stream(question()):
                if isinstance(event, e.TextDelta):
                    heard.append(event.text)
        await provider.close()
    assert heard == [f"w{count} " for count in range(5)]
