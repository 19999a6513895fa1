"""Which tools there are, where they come from, and which of them ask."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamchat.errors import SettingsError
from streamchat.tools import ServerState, Tool, Toolbox, tool


def made(name: str, **options) -> Tool:
    async def nothing() -> None: ...

    return tool(name=name, **options)(nothing)


class Servers:
    """Two servers with a tool each."""

    names = ("time", "git")

    def tools(self) -> list[Tool]:
        return [replace(made(f"{name}__x", approve=True), server=name) for name in self.names] + [made("own")]

    def states(self) -> list[ServerState]:
        return [ServerState("time", "ready", tools=("time__x",)), ServerState("git", "failed", "It is away.")]


def test_offered_and_got_by_name() -> None:
    """In the order in which they were given."""
    box = Toolbox([made("b"), made("a")])
    assert [one.name for one in box.offered()] == ["b", "a"]
    assert [one.name for one in box.offered({"b"})] == ["a"]
    assert box.get("a") is not None
    assert box.get("c") is None


def test_no_more_are_offered_than_vendors_take() -> None:
    """The first ones; the others are there, and can be offered by switching some off."""
    box = Toolbox([made(f"t{n}") for n in range(200)])
    assert [one.name for one in box.offered()] == [f"t{n}" for n in range(128)]
    assert box.offered({f"t{n}" for n in range(100)})[-1].name == "t199"


def test_servers_tools_join_and_can_be_switched_off_together() -> None:
    """By the tool's name or the server's; a name that is taken stays the first one's."""
    box = Toolbox([own := made("own")], servers=Servers())
    assert [one.name for one in box.offered()] == ["own", "time__x", "git__x"]
    assert [one.name for one in box.offered({"time"})] == ["own", "git__x"]
    assert [one.name for one in box.offered({"git__x"})] == ["own", "time__x"]
    assert box.get("own") is own
    assert [state.name for state in box.servers()] == ["time", "git"]


def test_a_setting_says_who_asks() -> None:
    """Per tool or per server, over the tool's own default."""
    box = Toolbox(
        [made("safe"), made("risky", approve=True)],
        servers=Servers(),
        approve=["safe", "git__x"],
        trust=["risky", "time"],
    )
    assert {one.name: one.approve for one in box.offered()} == {
        "safe": True,
        "risky": False,
        "time__x": False,
        "git__x": True,
        "own": False,
    }


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"approve": ["nobody"]}, "STREAMCHAT_APPROVE names 'nobody'"),
        ({"trust": ["tim__x"]}, "STREAMCHAT_TRUST names 'tim__x'"),
        ({"trust": ["safe"], "approve": ["safe"]}, "both name 'safe'"),
    ],
)
def test_a_mistyped_name_stops_the_start(options, told) -> None:
    """Otherwise a tool that was to ask would not."""
    with pytest.raises(SettingsError, match=told):
        Toolbox([made("safe")], servers=Servers(), **options)


def test_a_name_that_occurs_twice_stops_the_start() -> None:
    """With its name in the sentence."""
    with pytest.raises(SettingsError, match="'same'"):
        Toolbox([made("same"), made("same")])
