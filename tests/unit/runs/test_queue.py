"""The queue of answers: places, turns between owners, and tickets that are given back."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamchat.chat.events import Notice, TextDelta
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message, NoticePart, TextPart
from streamchat.runs import queue
from streamchat.runs.queue import ITS_TURN, AnswerQueue, Ticket
from streamchat.runs.service import ordinal
from tests.support.long import examples


def served(line: AnswerQueue, tickets: list[Ticket]) -> list[Ticket]:
    """The order in which these tickets get their turn, if each answer ends before the next one."""
    order: list[Ticket] = []
    while waiting := [ticket for ticket in tickets if ticket not in order]:
        turn = [ticket for ticket in waiting if ticket.place == ITS_TURN]
        assert len(turn) == 1
        order += turn
        line.leave(turn[0])
    return order


async def test_without_a_limit_nobody_waits():
    line = AnswerQueue()
    assert {line.enter("a").place for _ in range(50)} == {ITS_TURN}
    assert (line.writing, line.waiting) == (50, 0)


async def test_a_flood_of_one_owner_delays_no_other():
    """The other owner's answer is next, although ninety-nine came before it."""
    line = AnswerQueue(1)
    flood = [line.enter("a") for _ in range(100)]
    other = line.enter("b")
    assert (flood[-1].place, other.place) == (99, 2)
    assert served(line, [*flood, other]).index(other) == 2


async def test_a_ticket_that_is_given_back_makes_room():
    """In line or not; and twice is once."""
    line = AnswerQueue(2)
    first, second, third, fourth = (line.enter("a") for _ in range(4))
    line.leave(third)
    line.leave(first)
    line.leave(first)
    assert (second.place, fourth.place, line.writing, line.waiting) == (ITS_TURN, ITS_TURN, 2, 0)


async def test_places_are_told_as_they_change(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queue, "TELL_SECONDS", 0.0)
    line = AnswerQueue(1)
    first, second, third = (line.enter("a") for _ in range(3))
    assert [await third.next_place(), await second.next_place()] == [2, 1]
    line.leave(first)
    assert [await second.next_place(), await third.next_place()] == [ITS_TURN, 1]


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=25))
def test_the_place_is_the_order(owners: list[str]):
    """What a ticket was told when the last one came is when it is served; no owner is served twice before another."""

    async def play() -> None:
        line = AnswerQueue(1)
        line.enter("x")
        tickets = [line.enter(owner) for owner in owners]
        line._tell()
        expected = sorted(tickets, key=lambda ticket: ticket.place)
        assert sorted(ticket.place for ticket in tickets) == list(range(1, len(owners) + 1))
        line.leave(next(iter(line._writing)))
        assert served(line, tickets) == expected
        left = Counter(owners)
        for ticket, following in zip(expected, expected[1:], strict=False):
            left[ticket.owner] -= 1
            others = [owner for owner in left if left[owner] and owner != ticket.owner]
            assert following.owner != ticket.owner or not others
        if line._timer:
            line._timer.cancel()

    asyncio.run(play())


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=25))
def test_the_place_on_joining_is_right(owners: list[str]):
    """It is the one that a look at all places would give."""

    async def play() -> None:
        line = AnswerQueue(1)
        line.enter("x")
        for owner in owners:
            ticket = line.enter(owner)
            place = ticket.place
            line._tell()
            assert ticket.place == place
        if line._timer:
            line._timer.cancel()

    asyncio.run(play())


def test_only_the_last_place_stays_in_the_message():
    """Places replace each other, but not those of an earlier wait."""
    places = [Notice("queued", f"{n}", {"place": n}) for n in (3, 2, 0)]
    message = fold(Message("m", "assistant", status="streaming"), [*places, TextDelta("a"), Notice("queued", "1")])
    assert message.parts == (NoticePart("queued", "0", {"place": 0}), TextPart("a"), NoticePart("queued", "1"))


def test_ordinals():
    words = [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)]
    assert words == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]
