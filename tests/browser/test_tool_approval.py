"""The form of a tool call that waits for a person, and what it sends."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.test_tool_panel import Told, call
from tests.support.chat_page import ChatPage
from tests.support.wire import Wire

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "title": "City", "description": "As people there write it."},
        "days": {"type": "integer", "title": "Days"},
        "unit": {"enum": ["metric", "imperial"], "title": "Unit"},
        "sure": {"type": "boolean", "title": "Sure"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Note"},
        "tags": {"type": "array", "items": {"type": "string"}, "title": "Tags"},
        "place": {"type": "object", "title": "Place", "properties": {"lat": {"type": "number", "title": "Lat"}}},
        "more": {"title": "More"},
    },
    "required": ["city", "days", "unit", "sure"],
}
ARGUMENTS: dict[str, Any] = {"city": "Lima", "days": 3, "unit": "metric", "sure": False, "tags": ["a"]}
ARGUMENTS |= {"place": {"lat": 1.5}, "more": {"x": [1]}}


class Asked(Told):
    """A call that waits."""

    def ask(self, **more: Any) -> Asked:
        self.wire.deaf = True
        self.open(call("awaiting-approval", arguments=ARGUMENTS, schema=SCHEMA) | more, status="waiting")
        return self

    @property
    def form(self) -> Locator:
        return self.page.get_by_role("group", name="Approve get_weather")

    def button(self, name: str) -> Locator:
        return self.form.get_by_role("button", name=name, exact=True)

    def decisions(self) -> list[dict[str, Any]]:
        return self.wire.calls("decide")

    def wait_decision(self) -> dict[str, Any]:
        expect(self.form.get_by_test_id("approve")).to_be_disabled()
        for _ in range(100):
            if found := self.decisions():
                return found[-1]
            self.page.wait_for_timeout(50)
        raise AssertionError("nothing was sent")


@pytest.fixture
def asked(tab: ChatPage, wire: Wire) -> Asked:
    return Asked(tab.choose(), wire)


def test_approve(asked: Asked) -> None:
    """What nobody touched is approved as it is, once, however often the button is pressed."""
    asked.ask()
    expect(asked.button("Deny")).to_be_visible()
    asked.button("Approve").dblclick()
    sent = asked.wait_decision()
    assert (sent["run_id"], sent["call_id"]) == ("a", "c")
    assert sent["decision"] == {"approve": True, "arguments": None, "reason": "", "always": False}
    assert len(asked.decisions()) == 1


def test_approve_with_changes(asked: Asked) -> None:
    """Each kind of field can be edited; the button says so, and the whole new arguments are sent."""
    form = asked.ask().form
    form.get_by_label("City").fill("Quito")
    form.get_by_label("Days").fill("5")
    form.get_by_label("Unit").select_option("imperial")
    form.get_by_label("Sure").check()
    form.get_by_label("Note").fill("hm")
    form.get_by_role("button", name="Add item").click()
    form.get_by_label("Tags, item 2").fill("b")
    form.get_by_role("button", name="Remove item 1").click()
    form.get_by_label("Lat").fill("-2.5")
    form.get_by_label("More").fill("[null]")
    form.get_by_label("Always allow").check()
    asked.button("Approve with changes").click()
    changed = {"city": "Quito", "days": 5, "unit": "imperial", "sure": True, "note": "hm", "tags": ["b"]}
    changed |= {"place": {"lat": -2.5}, "more": [None]}
    assert asked.wait_decision()["decision"] == {"approve": True, "arguments": changed, "reason": "", "always": True}


def test_deny(asked: Asked) -> None:
    """A denial takes a reason along, and nothing of what was typed into the form."""
    form = asked.ask().form
    form.get_by_label("City").fill("Quito")
    form.get_by_label("Reason").fill(" not there ")
    asked.button("Deny").click()
    sent = asked.wait_decision()["decision"]
    assert sent == {"approve": False, "arguments": None, "reason": "not there", "always": False}


def test_wrong_arguments_stay(asked: Asked) -> None:
    """What does not fit is said at its field and not sent; what the server refuses is said, and stays as typed."""
    form = asked.ask().form
    form.get_by_label("Days").fill("many")
    asked.button("Approve with changes").click()
    expect(form).to_contain_text("This is not a number.")
    expect(form.get_by_label("Days")).to_have_attribute("aria-invalid", "true")
    form.get_by_label("Days").fill("99")
    asked.button("Approve with changes").click()
    assert asked.wait_decision()["decision"]["arguments"]["days"] == 99
    refusal = {"k": "undecided", "m": "a", "call": "c", "text": "Days must be 14 at most."}
    asked.wire.tell(refusal | {"n": 1})
    expect(form).to_contain_text("Days must be 14 at most.")
    expect(form.get_by_label("Days")).to_have_value("99")
    expect(asked.button("Approve with changes")).to_be_enabled()
    asked.change(progress=["another change of the call"])
    expect(form.get_by_label("Days")).to_have_value("99")
    asked.panel().locator("summary").click()
    asked.panel().locator("summary").click()
    expect(form.get_by_label("Days")).to_have_value("99")


def test_what_may_have_run_before(asked: Asked) -> None:
    """A call that was running when the server stopped says so, and asks whether to run it again."""
    asked.ask(again=True)
    expect(asked.form).to_contain_text("may have taken effect already")
    asked.button("Do not run").click()
    assert asked.wait_decision()["decision"]["approve"] is False


def test_by_keyboard(asked: Asked) -> None:
    """Every control is reached in order by Tab; Enter in a field decides nothing; Escape in one does not stop the
    answer; the focus is only where the reader put it, and stays in the panel when the form goes."""
    page = asked.ask().page
    assert page.evaluate("document.activeElement?.closest('.approval')") is None
    asked.panel().locator("summary").focus()
    controls = asked.form.locator("button, input, select, textarea")
    for number in range(controls.count()):
        page.keyboard.press("Tab")
        assert controls.nth(number).evaluate("e => e === document.activeElement")
    asked.form.get_by_label("City").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    asked.form.get_by_label("Reason").focus()
    page.keyboard.press("Enter")
    assert asked.decisions() == []
    assert asked.wire.calls("stop") == []
    asked.form.get_by_test_id("approve").focus()
    page.keyboard.press("Enter")
    asked.wait_decision()
    asked.change(state="running", schema=None, status="streaming")
    expect(asked.form).to_have_count(0)
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Escape")
    for _ in range(100):
        if asked.wire.calls("stop"):
            break
        page.wait_for_timeout(50)
    assert len(asked.wire.calls("stop")) == 1


def test_a_lost_connection_lets_decide_again(asked: Asked) -> None:
    """Where nobody knows whether the decision arrived, it can be made again after the transcript came anew."""
    asked.ask()
    asked.button("Approve").click()
    asked.wait_decision()
    asked.ask()
    expect(asked.button("Approve")).to_be_enabled()


def test_another_schema_makes_another_form(asked: Asked) -> None:
    """What was typed stays when the same call is told again; when its schema is known only later, the form is new."""
    asked.ask(schema=None)
    asked.form.get_by_label("City").fill("Quito")
    asked.ask(schema=None)
    expect(asked.form.get_by_label("City")).to_have_value("Quito")
    asked.ask()
    expect(asked.form.get_by_label("Note")).to_be_visible()
    expect(asked.form.get_by_label("City")).to_have_value("Lima")


def test_spoken(asked: Asked) -> None:
    """That an answer waits is said once, politely."""
    asked.open(call("ready", arguments=ARGUMENTS))
    asked.change(state="awaiting-approval", schema=SCHEMA, status="waiting")
    expect(asked.page.locator("[role=status][aria-live=polite]")).to_have_text("Waiting for your approval")


def test_what_is_approved_is_in_view(asked: Asked) -> None:
    """However long the form is: its top with the tool's name, and beside the buttons the tool and its arguments. What
    was typed is there after a reload."""
    asked.page.set_viewport_size({"width": 1280, "height": 480})
    asked.ask()
    about = asked.form.get_by_test_id("decided-about")
    expect(asked.panel().locator("summary .tool-name")).to_be_in_viewport()
    for control in (asked.button("Approve"), asked.button("Deny"), about):
        expect(control).to_be_in_viewport()
    expect(about).to_contain_text("City: Lima")
    asked.form.get_by_label("City").fill("Quito")
    expect(about).to_contain_text("City: Quito")
    asked.wire.mute = asked.wire.deaf = False
    asked.page.reload()
    asked.tab.ready()
    asked.ask()
    expect(asked.form.get_by_label("City")).to_have_value("Quito")


def test_on_a_phone(phone: ChatPage) -> None:
    """At 390 px everything that is pressed is 44 px high, and nothing scrolls sideways."""
    wire = Wire(phone.page)
    asked = Asked(phone.choose(), wire).ask()
    controls = asked.panel().locator("button, input:not([type=checkbox]), select, textarea, summary, label:has(input)")
    for control in controls.all():
        box = control.bounding_box()
        assert box is not None
        assert box["height"] >= 44, control.evaluate("e => e.outerHTML")
    assert phone.page.locator(".scroller").evaluate("e => e.scrollWidth <= e.clientWidth")
