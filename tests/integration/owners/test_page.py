"""Two people on one server through the page's socket: every event handler acts for whoever sent the event."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from devservers.app import Served
from tests.support.owners import A, B
from tests.support.raw import LIVE, RawTab
from tests.unit.ui.reviewed import HANDLERS, STATE

SECRET = "zebrafish"
MODEL = "simulator:tour"


class Owners(Served):
    arguments = ("-m", "tests.support.owners_app")


@dataclass
class Mine:
    """A's conversation, whose answer is being written."""

    served: Served
    path: str
    run: str

    def get(self, path: str) -> dict[str, Any]:
        return json.loads(self.served.get(path, A)[2])


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mine]:
    served = Owners(tmp_path_factory.mktemp("owners") / "data", {"STREAMCHAT_MODELS": MODEL}).start()
    try:
        with RawTab(served.url, headers=A) as tab:
            tab.frame("open")
            tab.send(f"{SECRET} n=100000 rate=20 kind=numbered", MODEL)
            tab.go(path := tab.begun())
            messages = tab.frame("open", after=1)["messages"]
            yield Mine(served, path, messages[-1]["id"])
    finally:
        served.kill()


def arguments(mine: Mine) -> dict[str, dict[str, Any]]:
    """How the other person calls each handler about what is A's, on a tab at the address of A's conversation."""
    again = {"message_id": mine.run, "client_id": "again", "model": MODEL}
    return {
        "follow": {},
        "send": {"text": "hi", "client_id": "b-1", "model": MODEL},
        "stop": {},
        "retry": again,
        "continue_answer": again,
        "decide": {"run_id": mine.run, "call_id": "c", "decision": {"approve": True}},
        "tools": {},
        "switch": {"name": "calculate", "on": False},
        "earlier": {"before": mine.run},
        "pace": {"milliseconds": 1000},
    }


# Those that answer the one who calls with a frame, and with which.
ANSWERS = {
    "follow": "open", "send": "say", "retry": "say", "continue_answer": "say", "decide": "undecided", "tools": "say",
    "switch": "say", "earlier": "say",
}  # fmt: skip


def test_every_handler_is_looked_at(mine: Mine):
    """A new handler of ours is added to the table above."""
    ours = {name.removeprefix(f"{LIVE}.") for name in HANDLERS if name.startswith(LIVE)} - {"setvar"}
    assert ours == set(arguments(mine))


@pytest.mark.parametrize(
    "handler", ["follow", "send", "stop", "retry", "continue_answer", "decide", "tools", "switch", "earlier", "pace"]
)
def test_no_handler_acts_on_what_is_anothers(mine: Mine, handler: str):
    """On A's address, with A's ids: B is told that there is no such thing, and A's answer goes on unchanged."""
    before = mine.get(f"/api/runs/{mine.run}")
    with RawTab(mine.served.url, mine.path, headers=B) as tab:
        assert tab.frame("open")["missing"]
        seen = len(tab.frames)
        tab.call(handler, **arguments(mine)[handler])
        if kind := ANSWERS.get(handler):
            frame = tab.frame(kind, after=seen)
            assert handler != "follow" or frame["missing"]
        else:  # what comes after it says that it was handled
            tab.call("tools")
            tab.frame("say", after=seen)
        assert SECRET not in json.dumps(tab.updates)
        assert tab.latest_rows() == []
    after = mine.get(f"/api/runs/{mine.run}")
    assert after["status"] == "streaming"
    assert after["seq"] >= before["seq"]
    conversation = mine.get(f"/api/conversations/{after['conversation_id']}")
    assert [message["role"] for message in conversation["messages"]] == ["user", "assistant"]


def test_a_tab_hears_only_of_its_owners_runs(mine: Mine):
    """While A begins and stops an answer, B's tab gets no row and no frame of it; A's other tab gets both."""
    with RawTab(mine.served.url, headers=A) as other, RawTab(mine.served.url, headers=B) as foreign:
        other.frame("open")
        foreign.frame("open")
        rows = len(other.latest_rows())
        with RawTab(mine.served.url, headers=A) as tab:
            tab.frame("open")
            tab.send(f"{SECRET} n=3 rate=0 kind=numbered", MODEL)
            tab.begun()
        other.wait(lambda: len(other.latest_rows()) > rows, what="the list of conversations")
        frames = len(foreign.frames)
        foreign.call("tools")  # what would have come, came before this
        foreign.frame("tools", after=frames)
        assert foreign.latest_rows() == []
        assert SECRET not in json.dumps(foreign.updates)


def test_the_list_is_sent_to_a_tab_once(mine: Mine):
    """In another conversation, and in one that begins here, it is still there; only what is different from it comes."""
    with RawTab(mine.served.url, mine.path, headers=A) as tab:
        tab.frame("open")
        tab.wait(tab.latest_rows, what="the list")
        ids, updates = [row["id"] for row in tab.latest_rows()], len(tab.updates)

        def opened(go: Callable[[], object]) -> None:
            frames = len(tab.frames)
            go()
            tab.frame("open", after=frames)

        opened(lambda: tab.call("follow"))
        opened(lambda: tab.go("/"))
        opened(lambda: tab.send(f"{SECRET} n=100 rate=200 kind=numbered", MODEL))
        opened(lambda: tab.go(tab.begun()))
        tab.ending()
        tab.wait(lambda: len(tab.latest_rows()) > len(ids), what="the new row")
        assert "rows_rx_state_" not in json.dumps(tab.updates[updates:])
        # In any order: an answer of another test may end meanwhile, which makes its conversation the newest.
        assert {row["id"] for row in tab.latest_rows()} > set(ids)


def test_without_an_owner_there_is_no_socket(mine: Mine):
    """The handshake of nobody is refused, with the sentence: no handler of Reflex or of ours runs for it."""
    with pytest.raises(InvalidStatus) as refused, RawTab(mine.served.url, mine.path):
        pass
    assert b"Nobody is asking." in (refused.value.response.body or b"")


def test_the_token_of_a_tab_is_worth_nothing_to_another_person(mine: Mine):
    """With the token of a tab that was closed, its owner finds its state again; anybody else has an empty one."""
    with RawTab(mine.served.url, mine.path, headers=A) as tab:
        tab.frame("open")
    for headers, has_it in ((B, False), (A, True)):
        with RawTab(mine.served.url, "/", token=tab.token, headers=headers, boot=False) as again:
            again.call(f"{STATE}.hydrate")
            again.wait(lambda again=again: again.updates, what="the state")
            assert (SECRET in json.dumps(again.updates)) is has_it


def test_what_is_written_at_an_address_is_not_what_is_shown(mine: Mine):
    """A's own tab at the same address has all of it: the refusals above are not those of a wrong address."""
    with RawTab(mine.served.url, mine.path, headers=A) as tab:
        assert SECRET in json.dumps(tab.frame("open")["messages"])
        assert tab.latest_rows()
