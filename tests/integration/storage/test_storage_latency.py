"""Latency of answers: what the database makes of their figures, on both databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import update

from streamchat.chat.messages import ErrorInfo, Status, TextPart
from streamchat.chat.request import NewRun
from streamchat.chat.writes import End
from streamchat.storage import Begun, Storage
from streamchat.storage import latency as reports
from streamchat.storage.queries import message

SINCE = date(2000, 1, 1)
_number = count(1)


async def answer(
    storage: Storage,
    timing: Mapping[str, Any] | None,
    *,
    owner: str = "anna",
    model: str = "m:x",
    status: Status = "finished",
    kind: Any = None,
    at: datetime | None = None,
    temporary: bool = False,
) -> Begun:
    """An answer that has ended, with these figures. ``at``: when it began, by default now."""
    key = f"question {next(_number)}"
    parts = [TextPart(key)]
    new = NewRun(client_message_id=key, parts=parts, model=model, temporary=temporary)
    begun = await storage.begin(owner, new, worker="w")
    error = None if kind is None else ErrorInfo("It broke.", kind)
    await storage.write(ends=[End(replace(begun.answer, status=status, timing=timing, error=error), 1, 0)])
    if at is not None:
        change = update(message).where(message.c.id == begun.run_id).values(created_at=at)
        await storage._database.write(lambda connection: connection.execute(change))
    return begun


def times(ms: float, **more: Any) -> dict[str, Any]:
    """All figures of an answer whose times are ``ms``."""
    return dict.fromkeys(reports.TIMES, ms) | {"tokens_per_second": ms / 10, "waited_ms": 0} | more


async def test_percentiles_are_values_that_an_answer_had(storage: Storage) -> None:
    """Nearest ranks, the extremes and the buckets of a hundred answers; one without a figure has no part in it."""
    for ms in range(100, 1100, 10):
        await answer(storage, times(ms))
    await answer(storage, {"ttc_ms": 5.0})
    await answer(storage, None)
    report = await storage.latency.report("anna", SINCE)
    (model,) = report.models
    assert (report.answers, report.complete, model.answers, model.failed) == (102, True, 102, 0)
    first = model.figures["ttft_ms"]
    assert (first.answers, first.min, first.p50, first.p95, first.max) == (100, 100, 590, 1040, 1090)
    # Below 100 ms, 200, 500, 1,000, 2,000 and so on.
    assert first.counts == [0, 10, 30, 50, 10, 0, 0, 0, 0, 0]
    assert model.figures["ttc_ms"].answers == 101
    assert model.figures["ttc_ms"].counts[0] == 1
    assert model.figures["tokens_per_second"].p50 == 59


async def test_small_numbers_have_percentiles_too(storage: Storage) -> None:
    for number in range(1, 22):
        await answer(storage, times(number))
        if number in (1, 2, 3, 19, 20, 21):
            found = (await storage.latency.report("anna", SINCE)).models[0].figures["ttfb_ms"]
            assert (found.p50, found.p95) == (-(-number // 2), -(-number * 95 // 100)), number


async def test_by_model_and_by_day_of_utc(storage: Storage) -> None:
    """Each model has its own figures, and each day; the days are in order, the model with most answers is first."""
    late = datetime(2026, 3, 1, 23, 59, 59, 900_000, UTC)
    await answer(storage, times(100), at=late)
    await answer(storage, times(300), at=late + timedelta(seconds=1))
    await answer(storage, times(500), at=late + timedelta(seconds=2))
    await answer(storage, times(700), model="m:y", at=late)
    report = await storage.latency.report("anna", date(2026, 3, 1))
    assert [(group.model, group.answers) for group in report.models] == [("m:x", 3), ("m:y", 1)]
    days = [(group.day, group.model, group.figures["ttft_ms"].p50) for group in report.days]
    assert days == [("2026-03-01", "m:x", 100), ("2026-03-01", "m:y", 700), ("2026-03-02", "m:x", 300)]
    assert [group.figures["ttft_ms"].counts for group in report.days] == [[]] * 3
    later = await storage.latency.report("anna", date(2026, 3, 2))
    assert (later.answers, [group.day for group in later.days]) == (2, ["2026-03-02"])


async def test_failures_by_kind(storage: Storage) -> None:
    """What failed or was interrupted counts by its reason, also without one; stopped is no failure."""
    for kind in ("overloaded", "overloaded", "bad-key"):
        await answer(storage, None, status="failed", kind=kind)
    await answer(storage, None, status="interrupted")
    await answer(storage, None, model="m:y", status="failed", kind="overloaded")
    await answer(storage, times(1), status="stopped")
    report = await storage.latency.report("anna", SINCE)
    assert [(row.kind, row.model, row.answers) for row in report.failures] == [
        ("overloaded", "m:x", 2),
        ("bad-key", "m:x", 1),
        ("interrupted", "m:x", 1),
        ("overloaded", "m:y", 1),
    ]
    assert {group.model: (group.answers, group.failed) for group in report.models} == {"m:x": (5, 4), "m:y": (1, 1)}


async def test_the_slowest_answers_can_be_found(storage: Storage) -> None:
    """By time the longest first, by rate the lowest, with what a link needs."""
    begun = [await answer(storage, times(ms)) for ms in (500, 20, 90_000, *range(100, 120))]
    slowest = (await storage.latency.report("anna", SINCE)).slowest
    assert [row.value for row in slowest["ttc_ms"]] == [90_000, 500, *range(119, 111, -1)]
    assert slowest["tokens_per_second"][0].value == 2
    first = slowest["ttft_ms"][0]
    assert (first.message_id, first.conversation_id) == (begun[2].run_id, begun[2].conversation_id)
    assert first.title.startswith("question")
    assert first.created_at.tzinfo is not None


async def test_how_long_a_person_takes_is_no_latency(storage: Storage) -> None:
    """An answer that waited for an approval has a rate, but no times."""
    await answer(storage, times(86_400_000, waited_ms=86_000_000, tokens_per_second=20))
    (model,) = (await storage.latency.report("anna", SINCE)).models
    assert list(model.figures) == ["tokens_per_second"]


async def test_only_what_was_asked_here_and_is_still_there(storage: Storage) -> None:
    """Nobody else's, no copy, nothing deleted, nothing temporary, nothing in progress."""
    mine = await answer(storage, times(100))
    await answer(storage, times(1), owner="bert")
    await answer(storage, times(2), temporary=True)
    deleted, discarded = await answer(storage, times(3)), await answer(storage, times(4))
    await storage.delete_messages("anna", deleted.run_id)
    await storage.discard("anna", discarded.conversation_id)
    await storage.fork("anna", mine.run_id)
    await storage.begin("anna", NewRun(client_message_id="open", parts=[TextPart("?")], model="m:x"), worker="w")
    report = await storage.latency.report("anna", SINCE)
    assert (report.answers, report.models[0].figures["ttft_ms"].max) == (1, 100)
    assert (await storage.latency.report("cora", SINCE)).models == []
    assert (await storage.latency.report("anna", date(3000, 1, 1))).answers == 0


async def test_at_most_so_many_answers(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than that the newest are looked at, and the report says that it is not all."""
    for ms in range(1, 6):
        await answer(storage, times(ms), at=datetime(2026, 3, ms, tzinfo=UTC))
    for name, number in (("MAX_ANSWERS", 3), ("MAX_CONVERSATIONS", 2)):
        monkeypatch.setattr(reports, name, number)
        report = await storage.latency.report("anna", SINCE)
        assert (report.answers, report.complete) == (number, False)
        assert report.models[0].figures["ttft_ms"].max == 5
