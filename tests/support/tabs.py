"""Tabs of a browser context that tests use one after the other: the page loads in one for half of what it costs in a
new one, whose process has compiled nothing yet.

What a test changed in a way that lasts is taken back: listeners, the size, the media. A tab where that cannot be done
(a script for each load, a route) is closed instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Error, Page

from tests.support.wire import Wire

# What lasts longer than the document that a tab shows, and can be taken back.
UNDONE = ("emulate_media", "on", "set_viewport_size")
# As ``new_context`` makes them.
MEDIA: dict[str, Any] = {"media": "null", "color_scheme": "light", "reduced_motion": "reduce", "forced_colors": "none"}
# What cannot.
LASTING = (
    "add_init_script",
    "add_locator_handler",
    "close",
    "expose_binding",
    "expose_function",
    "once",
    "route",
    "route_web_socket",
    "set_extra_http_headers",
)
# What pages leave in a browser beside its cache.
STORED = "local_storage,indexeddb,cache_storage,service_workers"
KEPT = 2  # of each kind


class Tabs:
    """``taken`` are those of the test that runs."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.taken: list[Page] = []
        self._spare: dict[bool, list[Page]] = {False: [], True: []}
        self._wires: dict[Page, Wire] = {}
        self._changed: set[Page] = set()
        self._undo: dict[Page, list[Callable[[], Any]]] = {}
        self._emptied: set[str] = set()
        self._new_devtools = context.new_cdp_session
        context.new_cdp_session = self._noting(context.new_cdp_session)

    def take(self, origin: str, wired: bool = False) -> Page:
        """An empty tab, in front of the others, for what is served at ``origin``. ``wired``: it has a ``Wire``."""
        spare = self._spare[wired]
        page = spare.pop() if spare else self._new(wired)
        self.taken.append(page)
        page.bring_to_front()
        if origin not in self._emptied:
            self._emptied.add(origin)
            devtools = self._new_devtools(page)
            devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": STORED})
            devtools.detach()
        return page

    def wire(self, page: Page) -> Wire:
        """The socket of a wired tab."""
        return self._wires[page]

    def opened(self) -> list[Page]:
        """Windows that pages opened."""
        ours = {*self.taken, *self._spare[False], *self._spare[True]}
        return [page for page in self.context.pages if page not in ours]

    def give_back(self) -> None:
        """End what the test did in the context, and keep tabs for the next one."""
        for page in self.opened():
            page.close()
        for page in self.taken:
            spare = self._spare[page in self._wires]
            if page not in self._changed and len(spare) < KEPT and self._empty(page):
                spare.append(page)
            else:
                page.close()
                self._wires.pop(page, None)
        self.taken.clear()
        self._changed.clear()
        self._undo.clear()
        self._emptied.clear()
        self.context.clear_cookies()
        self.context.clear_permissions()
        self.context.set_offline(False)

    def _new(self, wired: bool) -> Page:
        page = self.context.new_page()
        if wired:
            self._wires[page] = Wire(page)
        for name in LASTING:
            setattr(page, name, self._noting(getattr(page, name), page))
        for name in UNDONE:
            setattr(page, name, self._undoing(page, name, getattr(page, name)))
        return page

    def _undoing(self, page: Page, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """``method`` of this name, whose effect is taken back after the test."""
        size = page.viewport_size

        def undone(*arguments: Any, **more: Any) -> Any:
            back = {
                "emulate_media": lambda: method(**MEDIA),
                "on": lambda: page.remove_listener(*arguments, **more),
                "set_viewport_size": lambda: method(size),
            }
            self._undo.setdefault(page, []).append(back[name])
            return method(*arguments, **more)

        return undone

    def _noting(self, method: Callable[..., Any], page: Page | None = None) -> Callable[..., Any]:
        """``method``, which changes ``page`` or its first argument."""

        def noted(*arguments: Any, **more: Any) -> Any:
            self._changed.add(page or arguments[0])
            return method(*arguments, **more)

        return noted

    def _empty(self, page: Page) -> bool:
        try:
            page.evaluate("sessionStorage.clear()")
            page.goto("about:blank")
            page.mouse.move(0, 0)
            for undo in self._undo.get(page, ()):
                undo()
        except Error:  # it shows no page of ours, or hangs
            return False
        if page in self._wires:
            self._wires[page].reset()
        return True
