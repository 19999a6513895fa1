"""What Reflex is told."""

from __future__ import annotations

import os

import pytest

from streamchat.settings import Settings
from streamchat.ui.config import page_config


@pytest.mark.parametrize(("given", "seconds"), [(None, 600), ("30", 30)])
def test_how_long_a_closed_tab_is_kept(monkeypatch: pytest.MonkeyPatch, given: str | None, seconds: int) -> None:
    """Ten minutes, and not Reflex's hour, unless the environment says otherwise."""
    name = "REFLEX_REDIS_TOKEN_EXPIRATION"
    monkeypatch.setattr(os, "environ", {key: value for key, value in os.environ.items() if key != name})
    if given:
        os.environ[name] = given
    assert page_config(Settings()).redis_token_expiration == seconds
