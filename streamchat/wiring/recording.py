"""The record of answers for a log pipeline, where the settings name a place for it."""

from __future__ import annotations

from pathlib import Path

from streamchat.runs.completions import Completions
from streamchat.runs.outlet import FileSink, Outlet, RedisSink
from streamchat.runs.runs import Runs
from streamchat.settings import Settings

REDIS = "redis:"


def build_record(settings: Settings, runs: Runs, owner: str) -> Completions | None:
    """``None`` where nothing is to be recorded."""
    place = settings.completion_log
    if place is None:
        return None
    if place.startswith(REDIS):
        assert settings.redis_url is not None
        sink = RedisSink(settings.redis_url, place.removeprefix(REDIS))
    else:
        sink = FileSink(Path(place))
    return Completions(runs, owner, Outlet(sink))
