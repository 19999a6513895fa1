"""Use by day: each ending counts once, for its owner and its key, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from streamchat.chat.events import UsageReported
from streamchat.chat.messages import Message, Status, TextPart
from streamchat.chat.request import NewRun
from streamchat.chat.writes import End
from streamchat.storage import Begun, Storage
from streamchat.storage.usage import MAX_COUNT, Counts, DayUsage, Limits, today

SINCE = date(2000, 1, 1)


async def begin(
    storage: Storage, key: str, owner: str = "anna", credential: str = "", temporary: bool = False
) -> Begun:
    parts = [TextPart(key)]
    new = NewRun(client_message_id=key, parts=parts, model="m:x", credential=credential, temporary=temporary)
    return await storage.begin(owner, new, worker="w")


def ended(begun: Begun, usage: UsageReported | None, status: Status = "finished") -> End:
    return End(replace(begun.answer, status=status, usage=usage), 1, 0)


async def test_each_ending_counts_once(storage: Storage) -> None:
    """Stored twice, it counts once; one in progress counts as running; a failed one is a request too."""
    first, second, third = [await begin(storage, key) for key in ("a", "b", "c")]
    end = ended(first, UsageReported(100, 10, cost_usd=0.5))
    await storage.write(ends=[end])
    await storage.write(ends=[end, ended(second, None, "failed")])
    assert await storage.usage.used("anna", today()) == {"": Counts(2, 1, 110, 0.5)}
    assert await storage.usage.used("bert", today()) == {}
    assert await storage.usage.used("anna", "2000-01-01") == {"": Counts(running=1)}
    await storage.write(ends=[ended(third, UsageReported(1, 1, cost_usd=0.25), "stopped")])
    assert (await storage.usage.used("anna", today()))[""] == Counts(3, 0, 112, 0.75)
    assert await storage.usage.report(SINCE) == [DayUsage(today(), "anna", "", "m:x", 3, 101, 11, 0.75, 1, 0, 0.0)]
    assert await storage.usage.report(date(3000, 1, 1)) == []


async def test_what_people_paid_for_themselves_is_marked(storage: Storage) -> None:
    """An answer with a key of one's own counts as any other, and the report says how much of it that was."""
    first, second, third = [await begin(storage, key) for key in ("a", "b", "c")]
    ends = [
        ended(first, UsageReported(100, 10, cost_usd=0.5)),
        ended(second, UsageReported(10, 1, cost_usd=0.25, own_key=True)),
        ended(third, UsageReported(1, 1, own_key=True)),
    ]
    await storage.write(ends=ends)
    assert await storage.usage.used("anna", today()) == {"": Counts(3, 0, 123, 0.75)}
    assert await storage.usage.report(SINCE) == [DayUsage(today(), "anna", "", "m:x", 3, 111, 12, 0.75, 1, 2, 0.25)]


async def test_what_a_key_asked_is_counted_beside(storage: Storage) -> None:
    """A retry counts for who asks for it, not for the key that asked first."""
    begun = await begin(storage, "a", credential="key")
    assert await storage.usage.used("anna", today()) == {"key": Counts(running=1)}
    await storage.write(ends=[ended(begun, UsageReported(1, 2))])
    again = await storage.begin_again(
        "anna", message_id=begun.run_id, client_message_id="b", model="m:y", worker="w", continue_partial=False
    )
    assert await storage.usage.used("anna", today()) == {"key": Counts(1, 0, 3), "": Counts(running=1)}
    await storage.write(ends=[ended(again, UsageReported(3, 4, cost_usd=0.0))])
    rows = [(row.credential, row.model, row.requests, row.unpriced) for row in await storage.usage.report(SINCE)]
    assert rows == [("", "m:y", 1, 0), ("key", "m:x", 1, 1)]


async def test_an_answer_that_waits_has_not_ended(storage: Storage) -> None:
    """It counts when it is stopped, once."""
    begun = await begin(storage, "a")
    waiting: Message = replace(begun.answer, status="waiting")
    await storage.write(ends=[End(waiting, 1, 0)])
    assert await storage.usage.report(SINCE) == []
    assert await storage.move_on(replace(waiting, status="stopped"), 2, after=1, worker="w", epoch=1)
    assert [row.requests for row in await storage.usage.report(SINCE)] == [1]


async def test_a_temporary_chat_counts(storage: Storage) -> None:
    """Its owner used it, wherever it is kept."""
    begun = await begin(storage, "a", temporary=True)
    assert (await storage.usage.used("anna", today()))[""] == Counts(running=1)
    await storage.write(ends=[ended(begun, UsageReported(5, 6, cost_usd=1.0))])
    assert (await storage.usage.used("anna", today()))[""] == Counts(1, 0, 11, 1.0)
    assert [row.cost for row in await storage.usage.report(SINCE)] == [1.0]


@pytest.mark.parametrize("count", [10**30, -5])
async def test_a_count_that_makes_no_sense_keeps_no_ending_back(storage: Storage, count: int) -> None:
    begun = await begin(storage, "a")
    end = ended(begun, UsageReported(count, 1))
    assert (await storage.write(ends=[end])).ended == {begun.run_id}
    assert [row.input for row in await storage.usage.report(SINCE)] == [MAX_COUNT if count > 0 else 0]


async def test_limits_and_switches(storage: Storage) -> None:
    """What is set replaces what was; nothing left is no row."""
    await storage.usage.set_limits("anna", Limits(requests=3, cost=0.5))
    await storage.usage.set_limits("anna", Limits(tokens=10**11))
    assert await storage.usage.limits() == {"anna": Limits(tokens=10**11)}
    await storage.usage.set_limits("anna", Limits())
    assert await storage.usage.limits() == {}
    await storage.usage.switch_model("m:x", off=True)
    await storage.usage.switch_model("m:x", off=True)
    assert await storage.usage.models_off() == {"m:x"}
    await storage.usage.switch_model("m:x", off=False)
    assert await storage.usage.models_off() == frozenset()
