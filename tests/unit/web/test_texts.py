"""Everything that people read outside of the page's bundle is in the tables of each language.

Messages of the server are found in its source: every sentence of a module whose messages can reach a page. Texts of
the pages beside the chat are found in their HTML and scripts.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import count
from pathlib import Path

import pytest

from streamchat.simulator.scenes import SCENES
from tests import ROOT

PACKAGE = ROOT / "streamchat"
TEXTS = PACKAGE / "web" / "look" / "texts"
LANGUAGES = sorted({file.name.split(".")[1] for file in TEXTS.glob("*.json")})

# Modules whose sentences reach no page: they are for whoever starts the server, for programs that call an API, or for
# models. The result of a tool is shown as the model was told it.
NOT_SHOWN = (
    *(
        "__init__.py",
        "backup.py",
        "build.py",
        "bun.py",
        "cli.py",
        "deploy_check.py",
        "doctor.py",
        "environment.py",
        "extras.py",
    ),
    *("findings.py", "http_protocol.py", "liveness.py", "prices.py", "protos.py", "reflex.py", "reflex_internals.py"),
    *("serving.py", "settings.py", "streamchat.py", "watchdog.py", "workers.py", "client/", "processes/", "protocols/"),
    *("simulator/", "telemetry/", "v1/", "tools/", "runs/redis/", "runs/titles.py", "ui/serve/"),
    *("storage/address.py", "storage/engine.py", "storage/memory.py", "storage/migrate.py", "storage/migrations/"),
    *("wiring/build_models.py", "wiring/user_modules.py", "web/app.py", "web/audit_routes.py"),
    *("web/body_limit.py", "web/compat/", "web/event_schema.py", "web/grpc", "web/health.py", "web/json_bounds.py"),
    *("web/look/", "web/proxies.py", "web/schemas.py", "web/security_headers.py", "web/simple_stream.py"),
    *("web/startup_errors.py", "web/webhook_routes.py", "web/websocket.py", "chat/fold.py", "chat/tool_results.py"),
    *("providers/history.py", "providers/openai/embeddings.py", "providers/schema.py", "providers/schema_tools.py"),
)
SHOWN_AFTER_ALL = ("tools/execution.py", "web/grpc_loopback.py")
# Sentences in the others that are no messages.
NO_MESSAGES = {
    "chat/request.py": {"{0} {1}"},
    "chat/wire.py": {"{0} without {1}"},
    "errors.py": {"{0}: {1}"},
    "files/checks.py": {"{0}; {1}"},
    "providers/provider_errors.py": {"{0} {1}"},
    "ui/chat_page.py": {"Chat with any model: answers stream in live and are never lost."},
    "web/access.py": {
        "Over plain HTTP this address starts no answers: use HTTPS or POST /api/runs, or set "
        "STREAMCHAT_HTTP_GET_STARTS."
    },
    "web/gate.py": {"{0} {1}"},
    "web/grpc_loopback.py": {"gRPC: {0}."},  # what the library says
    "wiring/request_context.py": {"model: {0} has no embeddings."},  # of the vendors' API
    "web/dependencies.py": {"{0}, {1}"},
    "web/error_responses.py": {"{0}: {1}."},  # of a request that our page does not make
}
# What a sentence with a place becomes, where English or another language has a form for each.
FORMS = {
    "Stopped · {0} word{1} kept.": ["Stopped · {0} word kept.", "Stopped · {0} words kept."],
    "Waiting: {0} in line.": [f"Waiting: {{0}}{ending} in line." for ending in ("st", "nd", "rd", "th")],
    "This {0} does not exist.": ["This answer does not exist.", "This conversation does not exist."],
    "{0} {1} in progress, and no more are allowed. Stop one first.": [
        f"{who} {{0}} in progress, and no more are allowed. Stop one first." for who in ("You have", "This key has")
    ],
    "{0} used what a day allows ({1}). The next day begins at midnight, UTC.": [
        f"{who} used what a day allows ({{0}}). The next day begins at midnight, UTC."
        for who in ("You have", "This key has")
    ],
    "at most {0} × {1} can be read. Make it smaller.": [
        "This picture has {0} × {1} pixels; at most {2} × {3} can be read. Make it smaller."
    ],
    "{0}, which is more than is read. Make it smaller.": [
        "This picture has {0} × {1} pixels, which is more than is read. Make it smaller."
    ],
    "{0} {1}{2}": ["1 answer", "{0} answers", "1 token", "{0} tokens"],
}
# What fills a place in a message, and is therefore no sentence in the source.
FILLINGS = re.compile(
    r"(?:[Tt]he server at \{0\}|the (?:provider|model)|; it.* \{0\}|\{0\} I[ts] .*|an? .*|for .* chats(?: only)?"
    r"|cannot be combined with .*|.* does not support it|A name has 1 to \{0\} letters.*|Stopped\.)"
)
_SENTENCE = re.compile(r'(?:[A-Z“"{].*\s.*[.?”}]|[a-z].*\s.*[.?]|.*\{#\}.*\s.*\.)', re.DOTALL)
_SQL = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|PRAGMA)\b")
# Calls whose texts are for a log, for the API's schema or for whoever starts the server.
_OTHER_TEXTS = ("logger.", "Query", "Path", "Header", "Field", "Body", "File", "OutOfOrder", "SettingsError")


def read(file: str) -> dict[str, str]:
    """Return a table."""
    return json.loads((TEXTS / file).read_text("utf-8"))


def numbered(text: str) -> str:
    """Return a text with its places numbered."""
    numbers = count()
    return re.sub(r"\{#\}", lambda place: f"{{{next(numbers)}}}", text)


def sentences(source: str) -> Iterator[str]:
    """Yield the sentences in a module, with numbered places, without docstrings and what is for a log."""
    tree = ast.parse(source)
    other: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            other.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            other.update(map(id, node.values))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith(_OTHER_TEXTS):
            other.update(map(id, ast.walk(node)))
        elif isinstance(node, ast.Dict):  # descriptions of responses in the API's schema
            pairs = zip(node.keys, node.values, strict=True)
            keys = [(key.value if isinstance(key, ast.Constant) else None, value) for key, value in pairs]
            other.update(id(value) for key, value in keys if key == "description")
    for node in ast.walk(tree):
        if id(node) in other:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = re.sub(r"\{\w*\}", "{#}", node.value)
        elif isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{#}" for part in node.values)
        else:
            continue
        if " " in text.strip() and _SENTENCE.fullmatch(text) and not _SQL.search(text) and "`" not in text:
            yield numbered(text)


def messages() -> dict[str, str]:
    """Return every message that can reach a page, and where it is."""
    found = {scene.note: "simulator/scenes.py" for scene in SCENES.values()}  # notes beside the models
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        if name.startswith(NOT_SHOWN) and name not in SHOWN_AFTER_ALL:
            continue
        for sentence in sentences(file.read_text("utf-8")):
            if sentence not in NO_MESSAGES.get(name, ()):
                found |= dict.fromkeys(FORMS.get(sentence, [sentence]), name)
    return found


class Texts(HTMLParser):
    """Collects what a document shows or reads out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._open: list[str] = []
        self._quoted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        for name in ("placeholder", "aria-label", "title", "alt"):
            assert not re.search("[a-z]{2} |^[A-Z][a-z]", values.get(name) or ""), (
                f"translateDocument does not know the attribute {name}"
            )
        if tag not in ("meta", "link", "input", "img", "br"):
            self._open.append(tag if values.get("translate") != "no" and tag not in ("code", "script") else f"!{tag}")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().removeprefix("!") != tag:
            pass

    def handle_data(self, data: str) -> None:
        if any(tag.startswith("!") for tag in self._open):
            return
        for part in data.split(" · ") if "title" in self._open else [data]:
            text = " ".join(part.split())
            if re.search(r"[a-z]{2}", text) and text != "streamchat" and text[0] != "$":
                self.found.add(text)


PAGES = ("web/sign_in", "web/status")
# A text in a script of the pages: always an argument of `t`.
_CALL = re.compile(
    r"""\bt\(\s*(?:[\w.]+ (?:=== (?:"\w+"|\w+) )?\? )?"((?:[^"\\]|\\.)*)"(?:\s*:\s*"((?:[^"\\]|\\.)*)")?"""
)
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')
_READABLE = re.compile(r"[A-Z][a-z]+[ .…]|[a-z]{2,} [a-z]{2,}")


def page_texts() -> dict[str, str]:
    """Return every text of the pages beside the chat, and where it is."""
    found: dict[str, str] = {}
    for file in sorted(file for folder in PAGES for file in (PACKAGE / folder).iterdir()):
        if file.suffix == ".html":
            parser = Texts()
            parser.feed(file.read_text("utf-8"))
            found |= dict.fromkeys(parser.found, file.name)
        elif file.suffix == ".js":
            for one, other in _CALL.findall(file.read_text("utf-8")):
                found |= dict.fromkeys(filter(None, (one, other)), file.name)
    for title in ("Sign in", "Create your account"):  # of a form that is filled by the server
        assert f'"{title}"' in (PACKAGE / "web/sign_in/__init__.py").read_text()
        found[title] = "__init__.py"
    found |= dict.fromkeys(("user", "admin"), "admin.js")  # roles
    return found


def test_every_message_that_a_page_can_show_is_in_each_language() -> None:
    """A new sentence needs a line in each table of ``server.*.json``, or its module a reason why nobody reads it."""
    found = messages()
    for language in LANGUAGES:
        missing = {text: where for text, where in found.items() if text not in read(f"server.{language}.json")}
        assert not missing


def test_no_table_keeps_a_message_that_nobody_says() -> None:
    """A message that was changed is changed in the tables as well."""
    source = "\n".join(file.read_text("utf-8") for file in PACKAGE.rglob("*.py"))
    found = messages()
    for language in LANGUAGES:
        for text in read(f"server.{language}.json"):
            if text not in found:
                assert FILLINGS.fullmatch(text), text
                assert all(part.strip() in source for part in re.split(r"\{\d\}", text)), text


@pytest.mark.parametrize("name", ["server", "pages"])
def test_a_translation_has_the_places_of_its_text(name: str) -> None:
    """Nothing that a message says is lost, and nothing is empty."""
    for language in LANGUAGES:
        for text, translation in read(f"{name}.{language}.json").items():
            assert translation.strip()
            assert set(re.findall(r"\{\d\}", text)) == set(re.findall(r"\{\d\}", translation)), text


def test_every_text_of_the_pages_beside_the_chat_is_in_each_language() -> None:
    """Sign-in, account, administration and connection, in HTML and in scripts; and no table has any other."""
    for language in LANGUAGES:
        table, server = read(f"pages.{language}.json"), read(f"server.{language}.json")
        found = {text: where for text, where in page_texts().items() if text not in server}
        assert found == {text: found.get(text, "nowhere") for text in table}


@pytest.mark.parametrize(
    "file", sorted(file for folder in PAGES for file in (PACKAGE / folder).glob("*.js")), ids=lambda file: file.name
)
def test_scripts_of_these_pages_show_no_text_that_is_not_translated(file: Path) -> None:
    """A text in a script is an argument of ``t``."""
    code = re.sub(r"/\*.*?\*/|^\s*//.*$", "", file.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    left = _CALL.sub("t(", code)
    texts = ["".join(match) for match in _LITERAL.findall(left)]
    assert [text for text in texts if _READABLE.search(re.sub(r"\$\{[^}]*\}", "", text))] == []
