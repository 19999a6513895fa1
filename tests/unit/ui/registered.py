"""Say what the page registers, as JSON: ``python -m tests.unit.ui.registered``.

In a process of its own: other tests may register states of theirs in the one they run in.
"""
# ruff: noqa: T201

import json

from reflex.istate.storage import ClientStorageBase
from reflex.state import State
from reflex_base.registry import RegistrationContext

from streamchat import streamchat  # noqa: F401 makes the app
from streamchat.ui.chat_page import page

page()
context = RegistrationContext.get()
state = State(_reflex_internal_init=True)  # pyrefly: ignore[unexpected-keyword]
print(
    json.dumps(
        {
            "handlers": sorted(context.event_handlers),
            "states": sorted(context.base_states),
            "tree": sorted(state.dict(initial=True)),
            "vars": sorted(
                f"{name}.{var.removesuffix('_rx_state_')}"
                for name, values in state.dict(initial=True).items()
                for var in values
            ),
            "initial": json.dumps(state.dict(initial=True), default=repr),
            "stored_by_browser": sorted(
                f"{name}.{field}"
                for name, cls in context.base_states.items()
                for field, value in cls.get_fields().items()
                if isinstance(value.default_value(), ClientStorageBase)
            ),
        }
    )
)
