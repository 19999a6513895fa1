"""What belongs to somebody else, and what does not exist, are the same to every handler: not found."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.settings import Settings
from streamchat.storage import Storage
from tests.support.loop import LoopThread
from tests.support.raw import RawTab
from tests.support.reader import MODEL, of
from tests.support.simulated import Simulated
from tests.support.storing import save
from tests.system.soak import stored
from tests.system.soak.server import Watched

SECRET = "a word that only they know"


@dataclass(frozen=True)
class Theirs:
    """A conversation of another owner: its answer has ended, or is being written."""

    conversation_id: str
    question_id: str
    answer_id: str


async def make(served: Watched, ended: bool) -> Theirs:
    """The rows of somebody else, in the served database."""
    store = Storage(Settings.model_validate({"STREAMCHAT_DATA_DIR": served.data_dir}).database)
    await store.open()
    try:
        begun = await store.begin(
            "somebody-else", NewRun(client_message_id="theirs", parts=[TextPart(SECRET)], model=MODEL), worker="another"
        )
        answer = replace(begun.answer, parts=(TextPart(SECRET),))
        await (store.end(replace(answer, status="stopped"), 2) if ended else save(store, [(answer, 1)]))
        return Theirs(begun.conversation_id, begun.user.id, begun.run_id)
    finally:
        await store.close()


def what_they_say(served: Watched, target: Theirs) -> list[str]:
    """Every handler is called about it, from its own address and from another: what each tells this person."""
    told: list[str] = []
    for path in (f"/c/{target.conversation_id}", "/"):
        with RawTab(served.url, path) as tab:
            opened = tab.frame("open")
            told.append(f"missing: {opened['missing']}, {len(opened['messages'])} messages, title {opened['title']!r}")
            for handler, arguments in (
                ("retry", {"message_id": target.answer_id}),
                ("continue_answer", {"message_id": target.answer_id}),
                ("retry", {"message_id": target.question_id}),
                ("earlier", {"before": target.answer_id}),
                ("stop", {}),
                *([("send", {"text": "hello"})] if path != "/" else []),
            ):
                told.append(f"{handler} at {path[:3]}: {answered(tab, handler, arguments)}")
            assert SECRET not in "".join(str(message) for message in tab.raw)
    return told


def answered(tab: RawTab, handler: str, arguments: dict[str, str]) -> str:
    before = len(tab.frames)
    if handler in ("retry", "continue_answer", "send"):
        arguments = arguments | {"client_id": str(uuid.uuid4()), "model": MODEL}
    tab.call(handler, **arguments)
    if handler == "stop":  # has nothing to say; what it did is seen in the database
        return ""
    return tab.frame("say", after=before)["text"]


@pytest.mark.parametrize("ended", [True, False])
def test_what_is_somebody_else_s_is_not_found(
    serve: Callable[..., Watched], simulated: Simulated, loop: LoopThread, ended: bool
):
    """The same sentences as for ids that nobody has, nothing of it in any packet or list, and nothing changes."""
    served = serve(**simulated.settings)
    theirs = loop.run(make(served, ended))
    before = stored.messages(served.database)
    told = what_they_say(served, theirs)
    assert told == what_they_say(served, Theirs("nobody-has-this", "nor-this", "neither"))
    assert all("does not exist" in line or "no such" in line for line in told if "say" in line)
    with RawTab(served.url) as tab:
        tab.frame("open")
        tab.send(of(2, 0), model=MODEL)
        tab.wait(tab.latest_rows, what="the list")
        assert theirs.conversation_id not in [row["id"] for row in tab.latest_rows()]
    after = [row for row in stored.messages(served.database) if row.conversation_id == theirs.conversation_id]
    assert [(row.id, row.text) for row in after] == [(row.id, row.text) for row in before]
    assert len(after) == 2
    assert after[1].status in (("stopped",) if ended else ("streaming", "interrupted")), "not by this person's Stop"
