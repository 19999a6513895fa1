"""Nothing can be called by a client, and nothing goes to a browser, that was not looked at before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devservers.app import PRELOADED, environment
from tests.unit.ui.reviewed import HANDLERS, VARS

LISTS = "tests/unit/ui/reviewed.py"
CANARIES = {"OPENAI_API_KEY": "sk-CANARY-openai", "ANTHROPIC_API_KEY": "sk-ant-CANARY"}


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    env = environment(CANARIES)
    done = PRELOADED.completed("tests.unit.ui.registered", (), env, timeout=50)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_every_handler_was_reviewed(told: dict[str, Any]):
    """Every public method of a state can be called by any client with any payload: no new one goes unseen."""
    new = set(told["handlers"]) - set(HANDLERS)
    assert not new, f"any client can call these now: {sorted(new)}. Review each as {LISTS} says, then add it there."
    gone = set(HANDLERS) - set(told["handlers"])
    assert not gone, f"these are no handlers any more; remove them from {LISTS}: {sorted(gone)}"


def test_every_var_that_goes_to_the_browser_was_reviewed(told: dict[str, Any]):
    """Every var without a leading underscore is sent to the browser and is in the bundle: no new one goes unseen."""
    new = set(told["vars"]) - set(VARS)
    assert not new, f"every browser gets these now: {sorted(new)}. Review each as {LISTS} says, then add it there."
    gone = set(VARS) - set(told["vars"])
    assert not gone, f"these are no vars any more; remove them from {LISTS}: {sorted(gone)}"


def test_every_state_is_in_the_tree_that_was_looked_at(told: dict[str, Any]):
    """A state outside the tree would not be in the list of vars."""
    assert told["tree"] == told["states"]


def test_no_var_is_stored_by_the_browser(told: dict[str, Any]):
    """A var in a cookie or in the browser's storage could be set to anything by a client that calls Reflex's own
    ``update_vars_internal``."""
    assert told["stored_by_browser"] == []


def test_initial_values_hold_no_setting(told: dict[str, Any]):
    """What is baked into the bundle is empty: no key, no model, no conversation."""
    assert "CANARY" not in told["initial"]
    assert "gpt" not in told["initial"]
    assert "claude" not in told["initial"]
