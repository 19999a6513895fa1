"""What a page makes of the frames that it gets: the rules of the transcript component, in Python.

Knows no socket and no browser. Rules:

* Before the first "open" after a (re)connect, nothing about the transcript is believed.
* A number that is not newer than the message's is a replay: ignored. An offset that is not the end of what is there,
  a wrong length or a wrong checksum is a gap: the message takes nothing more until it comes whole.
* Offsets and lengths count UTF-16 code units.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, TypeAlias
from zlib import crc32

Frame: TypeAlias = dict[str, Any]
SAYING = ("text", "reasoning")


def utf16(text: str) -> int:
    """Length as JavaScript counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass(slots=True)
class Shown:
    """One message. ``ending``: status, stop reason and whatever else came with the end."""

    id: str
    role: str
    parts: list[dict[str, Any]]
    seq: int
    ending: dict[str, Any]
    gap: bool = False
    at: int | None = None  # the part that the last piece was of

    @property
    def status(self) -> str:
        return self.ending["status"]

    @property
    def text(self) -> str:
        """The answer itself: no reasoning, no notices."""
        return "".join(part["text"] for part in self.parts if part["type"] == "text")


class PageModel:
    """``gaps``: what did not fit, in words. ``sent`` and ``refused``: client ids of messages and their sentence."""

    def __init__(self) -> None:
        self.opened = False
        self.missing = False
        self.error = ""
        self.conversation: str | None = None
        self.messages: dict[str, Shown] = {}
        self.about: Frame = {}
        # The order of the last "order" frame, in which messages may be missing yet.
        self._places: list[str] = []
        self.gaps: list[str] = []
        self.replays = 0
        self.pieces = 0
        self.sent: set[str] = set()
        self.refused: dict[str, str] = {}
        self.said: list[str] = []

    def disconnected(self) -> None:
        """What is shown stays, but only an "open" is believed."""
        self.opened = False

    def feed(self, frame: Frame) -> bool:
        """Take in a frame; ``False`` where the page must ask for everything anew."""
        kind = frame.get("k")
        match kind:
            case "sent":
                self.sent.add(frame["client_id"])
            case "say":
                self.said.append(frame["text"])
                if "client_id" in frame:
                    self.refused[frame["client_id"]] = frame["text"]
            case "open":
                self._open(frame)
            case _ if not self.opened:
                return True
            case "messages":
                for message in frame["messages"]:
                    self._put(message)
            case "drop":
                self.messages.pop(frame["m"], None)
            case "earlier":
                self._earlier(frame)
            case "order":
                self._order(frame)
            case "about":
                self.about = {name: frame[name] for name in ("title", "model", "settings")}
            case "undecided":
                self.said.append(frame["text"])
            case None | "part" | "patch" | "end":
                return self._grow(frame)
            case _:
                raise AssertionError(f"no such frame: {frame}")
        return True

    @property
    def answering(self) -> bool:
        return any(message.status in ("streaming", "waiting") for message in self.messages.values())

    @property
    def ids(self) -> list[str]:
        return list(self.messages)

    def _open(self, frame: Frame) -> None:
        self.opened = True
        self.conversation = frame["conversation"]
        self.missing = frame["missing"]
        self.error = frame.get("error", "")
        self.messages, self._places = {}, []
        self.about = {name: frame.get(name) for name in ("title", "model", "settings")}
        for message in frame["messages"]:
            self._put(message)

    def _order(self, frame: Frame) -> None:
        self.messages = {one: self.messages[one] for one in frame["ids"] if one in self.messages}
        self._places = list(frame["ids"])
        for one, versions in frame.get("versions", {}).items():
            self.messages[one].ending["versions"] = versions

    def _put(self, told: Frame) -> None:
        ending = {key: told[key] for key in told if key not in ("id", "role", "parts", "seq", "text")}
        parts = [dict(part) for part in told["parts"]]
        self.messages[told["id"]] = Shown(told["id"], told["role"], parts, told["seq"], ending)
        if self._places:
            order = {one: place for place, one in enumerate(self._places)}
            self.messages = dict(sorted(self.messages.items(), key=lambda item: order.get(item[0], len(order))))

    def _earlier(self, frame: Frame) -> None:
        newer, self.messages = self.messages, {}
        for message in frame["messages"]:
            self._put(message)
        self.messages |= newer

    def _grow(self, frame: Frame) -> bool:
        shown = self.messages.get(frame["m"])
        if shown is None:
            return self._gap(None, f"nothing is known of the message of {frame}")
        if frame.get("s", inf) <= shown.seq:
            self.replays += 1
            return True
        if shown.gap:
            return True
        if wrong := self._apply(shown, frame):
            return self._gap(shown, f"{wrong}: {frame}"[:300])
        shown.seq = frame.get("s", shown.seq)
        return True

    def _gap(self, shown: Shown | None, why: str) -> bool:
        if shown is not None:
            shown.gap = True
        self.gaps.append(why)
        return False

    def _apply(self, shown: Shown, frame: Frame) -> str | None:
        """Do what it says, or say why that cannot be."""
        kind = frame.get("k")
        if kind is None and (wrong := self._append(shown, frame)):
            return wrong
        if kind == "part":
            if frame["p"] > len(shown.parts):
                return f"there are {len(shown.parts)} parts"
            shown.parts[frame["p"] : frame["p"] + 1] = [dict(frame["part"])]
        for index, change in frame.get("set", {}).items():
            changed = shown.parts[int(index)] | change
            shown.parts[int(index)] = {name: value for name, value in changed.items() if value is not None}
        if "status" in frame:
            shown.ending["status"] = frame["status"]
        if kind == "end":
            if frame["length"] != utf16(shown.text):
                return f"the length is {utf16(shown.text)}"
            shown.ending |= {key: frame[key] for key in frame if key not in ("k", "m", "s", "c", "length", "set")}
        if "c" in frame and frame["c"] != crc32(shown.text.encode()):
            return "the checksum is another"
        return None

    def _append(self, shown: Shown, frame: Frame) -> str | None:
        index = frame.get("p", shown.at)
        if index is None:
            return "it continues nothing"
        kind = frame.get("y", "text" if "p" in frame else shown.parts[index]["type"])
        if index == len(shown.parts):
            shown.parts.append({"type": kind, "text": ""})
        if index > len(shown.parts) or shown.parts[index]["type"] != kind or kind not in SAYING:
            return f"part {index} is none of {kind}"
        part = shown.parts[index]
        if utf16(part["text"]) != frame.get("o", utf16(part["text"])):
            return f"the part ends at {utf16(part['text'])}"
        part["text"] += frame["t"]
        shown.at = index
        self.pieces += 1
        return None
