"""What any client may call and what every browser gets: each name was looked at, with the reason why it may be there.

Before a name is added here:

* a handler validates every argument (no type is checked for it), acts for the owner only, and awaits nothing slow
  while it holds the tab's state;
* a var holds nothing that its reader may not have: no key, no setting, nothing of another person's. A name that
  begins with an underscore stays on the server and does not belong here.
"""

from __future__ import annotations

STATE = "reflex___state____state"
LIVE = f"{STATE}.streamchat___ui___live____live"
CHATS = f"{STATE}.streamchat___ui___sidebar____chats"
LAB = f"{STATE}.streamchat___ui___lab____lab"
_ON_LOAD = f"{STATE}.reflex___state____on_load_internal_state"
_STORAGE = f"{STATE}.reflex___state____update_vars_internal_state"
_ERRORS = f"{STATE}.reflex___state____frontend_event_exception_state"
_SHARED = f"{STATE}.reflex___istate___shared____shared_state_base_internal"
_SETVAR = "Reflex's own, on every state: calls ``set_<name>``, and only Reflex' own such handler exists"

HANDLERS = {
    f"{LIVE}.follow": "takes nothing; shows the conversation that the tab's address names, to its owner",
    f"{LIVE}.send": "text, client id and model are checked by the runs, types included",
    f"{LIVE}.stop": "a flag is checked; stops what runs or waits in the tab's conversation, for its owner",
    f"{LIVE}.retry": "message id, client id and model are checked by the runs and the store",
    f"{LIVE}.continue_answer": "as retry",
    f"{LIVE}.decide": "every argument is checked; the runs look for the call in the owner's answers only",
    f"{LIVE}.tools": "takes nothing; names, descriptions and states of tools, and the owner's choices about them",
    f"{LIVE}.switch": "the name of a tool or server, and a boolean, are checked; for the owner's conversation only",
    f"{LIVE}.earlier": "the message id is looked for in the owner's conversation only",
    f"{LIVE}.pace": "a number within bounds; changes how often the tab itself gets pieces, for as long as it is open",
    f"{LAB}.warm": "only a model that is offered is started, as a message to it would",
    f"{LAB}.race": "the run id is looked for in the owner's answers only; one reader per tab",
    f"{LAB}.grpc": "as race; the gRPC port decides once more who may read",
    f"{LAB}.setvar": _SETVAR,
    f"{LIVE}.setvar": _SETVAR,
    f"{CHATS}.setvar": _SETVAR,
    f"{STATE}.setvar": _SETVAR,
    f"{_ON_LOAD}.setvar": _SETVAR,
    f"{_STORAGE}.setvar": _SETVAR,
    f"{_ERRORS}.setvar": _SETVAR,
    f"{_SHARED}.setvar": _SETVAR,
    f"{STATE}.hydrate": "Reflex's own: sends the tab's own state",
    f"{STATE}.hydrate_and_load": "Reflex's own: the same, and runs the page's on_load, which is ``follow``",
    f"{STATE}.set_is_hydrated": "Reflex's own: a flag of the tab about itself",
    f"{_ON_LOAD}.set_is_hydrated": "Reflex's own, the same",
    f"{_ON_LOAD}.on_load_internal": "Reflex's own: runs ``follow`` for the address that the tab names",
    f"{_STORAGE}.update_vars_internal": "Reflex's own: sets vars of the browser's storage, of which there are none",
    f"{_ERRORS}.handle_frontend_exception": "Reflex's own: writes what a browser reports to the log",
}

VARS = {
    f"{LIVE}.f": "the newest frame of the tab's own conversation",
    f"{LAB}.f": "the newest frame of an answer of the owner's, or the times of one",
    f"{LAB}.w": "the id of a model, from the browser itself",
    f"{LAB}.g": "text of an answer of the owner's and when it came, or why gRPC cannot be read",
    f"{CHATS}.rows": "the owner's conversations: id, title, time, whether it is answering or waits for them",
    f"{CHATS}.changes": "rows as above that are different now, and ids that the tab was sent and that are gone",
    f"{CHATS}.models": "ids, labels and notes of models, and why one cannot be used: no key, no address",
    f"{CHATS}.default_model": "the id of a model",
    f"{CHATS}.person": "the name of the person who is signed in, to that person",
    f"{STATE}.is_hydrated": "Reflex's own flag",
    f"{STATE}.area": "the first word of the page's address, from the browser itself",
    f"{STATE}.conversation": "the second word of the page's address, from the browser itself",
    f"{STATE}.rx_router_headers": "the headers that the browser itself sent",
    f"{STATE}.rx_router_page": "the browser's own address",
    f"{STATE}.rx_router_route_id": "the name of the route",
    f"{STATE}.rx_router_session": "the tab's own token and address",
    f"{STATE}.rx_router_url": "the browser's own address",
}
