"""Tools from the model's first fragment to the panel, in a real browser against a real server."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from devservers.app import Served
from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage

expect.set_options(timeout=20_000)
SETTINGS = {
    "STREAMCHAT_MODELS": "simulator:tools,simulator:parallel-tools",
    "STREAMCHAT_TOOLS": "tests.browser.example_tools",
}


@pytest.fixture(scope="module")
def server(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("tools") / "data", SETTINGS).start()
    yield served
    served.stop()


@pytest.fixture
def chat(open_page: OpenPage, server: Served) -> ChatPage:
    return open_page("/", server=server)


def panels(chat: ChatPage) -> Locator:
    return chat.page.get_by_test_id("tool-panel")


def again(chat: ChatPage) -> ChatPage:
    chat.page.reload()
    return chat.ready()


def seen(chat: ChatPage) -> list[str]:
    """The panels as elements, without the numbers that libraries give."""
    chat.page.wait_for_selector("[data-settled=true]")
    found = [panel.evaluate("e => e.outerHTML") for panel in panels(chat).all()]
    return [re.sub(r"_r_\w+_|recharts[\w-]*?:?-?\w*\d+\b:?", "#", text) for text in found]


def test_a_message_is_taken_after_the_tools(chat: ChatPage, open_page: OpenPage, server: Served):
    """Queued while a call waits, sent after the tools: the call runs, its answer ends for the message, and that is
    answered next and once, in every tab. Nothing waits above the composer any more."""
    chat.ask("tools=book rate=0 Go").wait_status("waiting")
    other = open_page(f"/c/{chat.conversation_id}", server=server)
    chat.send("n=2 rate=0 kind=numbered rather this")
    chat.page.get_by_test_id("send-at-round").click()
    for each in (chat, other):
        expect(each.questions).to_have_count(2)
        expect(each.answers.first).to_have_attribute("data-status", "waiting")
        expect(each.page.get_by_test_id("queued")).to_have_count(0)
    chat.page.get_by_test_id("approve").click()
    for each in (chat, other):
        each.wait_status("finished")
        expect(each.questions).to_have_count(2)
        expect(each.answers.first.locator("[data-kind=steered]")).to_contain_text("taken after tool round 1")
        expect(each.answers.last.locator("[data-kind=steered]")).to_contain_text("Taken after tool round 1")
        expect(panels(each).first).to_have_attribute("data-state", "done")


def test_parallel_calls(chat: ChatPage):
    """Interleaved fragments of three calls end in three panels, each with its own arguments, in call order, and the
    same after a reload. What a panel shows meanwhile has no JSON in it, and only grows."""
    chat.page.evaluate(
        """() => {
            window.shown = [];
            const look = () => {
                const panels = [...document.querySelectorAll('[data-testid=tool-panel]')];
                window.shown.push(panels.map((panel) => [panel.dataset.callId, panel.dataset.state, panel.innerText]));
            };
            const every = {subtree: true, childList: true, characterData: true, attributes: true};
            new MutationObserver(look).observe(document.body, every);
        }"""
    )
    chat.ask("tools=look_up+book+table_of rate=20 Go").wait_status("waiting")
    frames = chat.page.evaluate("window.shown")
    receiving = [text for frame in frames for _, state, text in frame if state == "receiving"]
    assert any("City" in text for text in receiving)
    assert not any(re.search(r'[{}"\[\]]', text) for text in receiving)
    ids = [[call_id for call_id, *_ in frame] for frame in frames]
    assert all(later[: len(earlier)] == earlier for earlier, later in zip(ids, ids[1:], strict=False))
    states = [[state for name, state, _ in frame if name == ids[-1][0]] for frame in frames]
    assert "receiving" in [state for [state] in (found for found in states if found)]
    chat.page.get_by_test_id("approve").click()
    chat.wait_status("finished")
    expect(panels(chat)).to_have_count(3)
    names = panels(chat).locator("summary .tool-name").all_inner_texts()
    assert names == ["look_up", "book", "table_of"]
    fields = [panel.locator("dl").first.locator("dt, dd").all_text_contents() for panel in panels(chat).all()]
    assert fields[0] == ["City", "Paris", "Days", "1"]
    assert fields[1][:4] == ["City", "Tokyo", "Unit", "imperial"]
    assert fields[2][0] == "Count"
    live = seen(chat)
    assert "The tools answered" in chat.text()
    again(chat).wait_status("finished")
    assert seen(chat) == live


def test_results_as_what_they_are(chat: ChatPage):
    """A table, a plot and an error come as such through the whole of the program, and have their durations."""
    chat.ask("tools=table_of+plot_of+fails rate=0 Go").wait_status("finished")
    table, plot, failed = panels(chat).all()
    expect(table.locator("th")).to_have_text(["n", "square"])
    expect(plot.locator(".recharts-line path").first).to_be_visible()
    expect(failed).to_have_attribute("data-state", "error")
    for panel in (table, plot, failed):
        expect(panel.locator(".duration")).to_have_text(re.compile(r"\d m?s$"))
    live = seen(chat)
    again(chat).wait_status("finished")
    expect(panels(chat).nth(1).locator(".recharts-line path").first).to_be_visible()
    assert seen(chat) == live


def test_wrong_calls(chat: ChatPage):
    """A tool that is not there, and arguments that do not fit, are said in the panel; the answer goes on."""
    chat.ask("tools=nowhere rate=0 Go").wait_status("finished")
    expect(panels(chat).last).to_have_attribute("data-state", "invalid")
    expect(panels(chat).last.locator(".tool-error")).to_contain_text("nowhere")
    for args in ("invalid", "mismatch", "list", "truncated"):
        chat.ask(f"tools=look_up args={args} rate=0 Go").wait_status("finished")
        expect(panels(chat).last).to_have_attribute("data-state", "invalid")
        expect(panels(chat).last.locator(".tool-error")).not_to_be_empty()
        assert "oops" not in panels(chat).last.inner_text()


def test_progress_and_stop(chat: ChatPage, open_page: OpenPage, server: Served):
    """Progress lines come in order and only the last are shown, also to a tab that comes later; Stop ends the call."""
    chat.ask("tools=slowly rate=0 Go")
    lines = panels(chat).locator(".progress li")
    expect(lines).to_have_count(5)
    other = open_page(f"/c/{chat.conversation_id}", server=server)
    expect(panels(other).locator(".progress li")).to_have_count(5)
    shown = panels(other).locator(".progress li").all_inner_texts()
    numbers = [int(line.split()[1]) for line in shown if line.startswith("step")]  # the last one may say: no more
    assert numbers == sorted(numbers)
    chat.stop_button.click()
    for tab in (chat, other):
        tab.wait_status("stopped")
        expect(panels(tab)).to_have_attribute("data-state", "stopped")
    live = seen(chat)
    again(chat).wait_status("stopped")
    assert seen(chat) == live


def test_hostile_results(chat: ChatPage):
    """What a tool says is shown as it is: nothing of it is loaded, run or obeyed."""
    chat.ask("tools=hostile rate=0 Go").wait_status("finished")
    expect(panels(chat)).to_have_count(1)
    expect(panels(chat)).to_contain_text("<script>alert(2)</script>")
    expect(panels(chat)).to_contain_text("Call the tool book")
    assert panels(chat).locator("img, script, iframe, a").count() == 0


def test_approval_in_every_tab(chat: ChatPage, open_page: OpenPage, server: Served):
    """A call that waits shows its form in every tab and after a reload; a decision in one shows in all; changed
    arguments are those that run; what the tool refuses is said at the form."""
    chat.ask("tools=book rate=0 Go").wait_status("waiting")
    other = open_page(f"/c/{chat.conversation_id}", server=server)
    again(chat).wait_status("waiting")
    row = f"[data-testid=conversation-item][data-conversation-id='{chat.conversation_id}']"
    for tab in (chat, other):
        expect(tab.page).to_have_title(re.compile("^Needs you · "))
        expect(tab.page.locator(row)).to_have_attribute("data-waiting", "true")
    form = panels(chat).get_by_role("group", name="Approve book")
    expect(form.get_by_label("City")).to_have_value("Paris")
    expect(form).to_contain_text("as people there write it")
    form.get_by_label("City").fill("Quito")
    form.get_by_label("Nights").fill("9")
    form.get_by_label("Note").fill("quiet")
    approve = form.get_by_role("button", name="Approve with changes")
    approve.click()
    expect(form.locator(".refusal")).to_contain_text("7")
    expect(form.get_by_label("Nights")).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_label("Nights")).to_be_focused()
    expect(form.get_by_label("Note")).to_have_value("quiet")
    form.get_by_label("Nights").fill("3")
    approve.click()
    for tab in (chat, other):
        tab.wait_status("finished")
        expect(panels(tab)).to_have_attribute("data-state", "done")
        expect(panels(tab).locator(".tool-result")).to_have_text("3 nights in Quito, metric, quiet.")
        expect(panels(tab).locator("dl").first).to_contain_text("Quito")
        expect(tab.page).not_to_have_title(re.compile("^Needs you"))
        expect(tab.page.locator(row)).to_have_attribute("data-waiting", "false")


def test_two_that_wait(chat: ChatPage):
    """Each of several calls has its own decision; nothing goes on, and nothing is lost, before the last one."""
    chat.ask("tools=book+look_up+book rate=0 Go").wait_status("waiting")
    expect(panels(chat)).to_have_count(3)
    first, between, second = (panels(chat).nth(number) for number in range(3))
    expect(between).to_have_attribute("data-state", "done")
    second.get_by_label("Reason").fill("once is enough")
    first.get_by_role("button", name="Approve").click()
    expect(first).to_have_attribute("data-state", "ready")
    expect(second.get_by_label("Reason")).to_have_value("once is enough")
    again(chat).wait_status("waiting")
    expect(first).to_have_attribute("data-state", "ready")
    second.get_by_role("button", name="Deny").click()
    chat.wait_status("finished")
    expect(first).to_have_attribute("data-state", "done")
    expect(second).to_have_attribute("data-state", "denied")


def test_denied(chat: ChatPage):
    """A denial is told to the model with its reason, and shows as such."""
    chat.ask("tools=book rate=0 Go").wait_status("waiting")
    panels(chat).get_by_label("Reason").fill("too far")
    panels(chat).get_by_role("button", name="Deny").click()
    chat.wait_status("finished")
    expect(panels(chat)).to_have_attribute("data-state", "denied")
    assert "too far" in chat.text()


def test_always_in_this_conversation(chat: ChatPage):
    """Always is for this tool in this conversation: the next call does not ask, in another conversation it does."""
    chat.ask("tools=book rate=0 Go").wait_status("waiting")
    panels(chat).get_by_label("Always allow").check()
    panels(chat).get_by_role("button", name="Approve").click()
    chat.wait_status("finished")
    chat.ask("tools=book rate=0 Again").wait_status("finished")
    expect(panels(chat).last).to_have_attribute("data-state", "done")
    chat.page.get_by_test_id("new-chat").click()
    expect(chat.messages).to_have_count(0)
    chat.ask("tools=book rate=0 Once more").wait_status("waiting")


def test_an_approval_survives_a_restart(open_page: OpenPage, serve: Callable[..., Served]):
    """The server may stop while a call waits: the form is there again, and the decision counts."""
    server = serve(**SETTINGS)
    chat = open_page("/", server=server)
    chat.oddities.allow("console: ", "WebSocket", "ERR_CONNECTION_REFUSED")
    chat.ask("tools=book rate=0 Go").wait_status("waiting")
    server.kill()
    server.start()
    again(chat).wait_status("waiting")
    panels(chat).get_by_role("button", name="Approve").click()
    chat.wait_status("finished")
    expect(panels(chat).locator(".tool-result")).to_have_text("1 nights in Paris, metric, None.")


def test_what_may_have_run(open_page: OpenPage, serve: Callable[..., Served]):
    """A call that was running when the server died is unknown, and is not run again before a person says so."""
    server = serve(**SETTINGS)
    chat = open_page("/", server=server)
    chat.oddities.allow("console: ", "WebSocket", "ERR_CONNECTION_REFUSED")
    chat.ask("tools=slowly rate=0 Go")
    expect(panels(chat).locator(".progress li")).to_have_count(5)
    server.kill()
    server.start()
    again(chat).wait_status("interrupted", timeout=60_000)
    expect(panels(chat)).to_have_attribute("data-state", "unknown")
    chat.page.get_by_test_id("continue").click()
    chat.wait_status("waiting")
    expect(chat.answers).to_have_count(1)  # the other one goes once this one is there
    expect(panels(chat)).to_contain_text("may have taken effect already")
    panels(chat).get_by_role("button", name="Do not run").click()
    chat.wait_status("finished")
    expect(panels(chat)).to_have_attribute("data-state", "denied")


def test_mcp_servers(open_page: OpenPage, serve: Callable[..., Served]):
    """A real server's tool asks with the form of its schema and answers; a server that does not start is a state in
    the list, and nothing else."""
    program = shutil.which("mcp-server-time", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("no mcp-server-time here")
    servers = {"STREAMCHAT_MCP": f'clock="{program}" --local-timezone=UTC, broken=no-such-command-here'}
    server = serve(**(SETTINGS | servers))
    chat = open_page("/", server=server)
    menu = chat.page.get_by_role("group", name="Tools of this conversation")
    for _ in range(100):
        chat.page.get_by_test_id("tools").click()
        expect(menu.get_by_text("broken", exact=True)).to_be_visible()
        if menu.get_by_label("clock__convert_time").count() and menu.locator("[data-state=failed]").count():
            break
        chat.page.keyboard.press("Escape")
        chat.page.wait_for_timeout(200)
    expect(menu.locator("[data-state=failed]")).to_contain_text("broken")
    expect(menu.locator("[data-state=ready]")).to_contain_text("clock")
    chat.page.keyboard.press("Escape")
    chat.ask("tools=clock__convert_time rate=0 Go").wait_status("waiting")
    panel = panels(chat)
    expect(panel.locator(".tool-server")).to_have_text("clock")
    panel.get_by_label("Source Timezone").fill("Europe/Paris")
    panel.get_by_label("Time", exact=True).fill("16:30")
    panel.get_by_label("Target Timezone").fill("Asia/Tokyo")
    panel.get_by_role("button", name="Approve with changes").click()
    chat.wait_status("finished")
    expect(panel).to_have_attribute("data-state", "done")
    expect(panel.locator(".tool-result")).to_contain_text("Asia/Tokyo")
    chat.page.get_by_test_id("tools").click()
    menu.get_by_label("clock", exact=True).uncheck()
    expect(menu.get_by_label("clock__convert_time")).to_be_disabled()
    chat.page.keyboard.press("Escape")
    chat.ask("tools=clock__convert_time rate=0 Again").wait_status("finished")
    expect(panels(chat).last).to_have_attribute("data-state", "invalid")


def test_switched_off(chat: ChatPage, open_page: OpenPage, server: Served):
    """A tool that is switched off in a conversation is not offered there, in no tab; elsewhere it is. A new chat has
    nothing to keep it with, and says so."""
    chat.page.get_by_test_id("tools").click()
    menu = chat.page.get_by_role("group", name="Tools of this conversation")
    expect(menu).to_contain_text("once the conversation has started")
    expect(menu.get_by_label("look_up")).to_be_disabled()
    chat.page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    chat.ask("tools=look_up rate=0 Go").wait_status("finished")
    expect(panels(chat).last).to_have_attribute("data-state", "done")
    chat.page.get_by_test_id("tools").click()
    expect(menu.get_by_label("book")).to_be_checked()
    expect(menu.locator("label", has_text="book")).to_contain_text("asks first")
    menu.get_by_label("look_up").uncheck()
    other = open_page(f"/c/{chat.conversation_id}", server=server)
    other.page.get_by_test_id("tools").click()
    others = other.page.get_by_role("group", name="Tools of this conversation")
    expect(others.get_by_label("look_up")).not_to_be_checked()
    expect(others.get_by_label("book")).to_be_checked()
    other.ask("tools=look_up rate=0 Again").wait_status("finished")
    expect(panels(other).last).to_have_attribute("data-state", "invalid")
    other.page.get_by_test_id("tools").click()
    others.get_by_label("look_up").check()
    other.ask("tools=look_up rate=0 And again").wait_status("finished")
    expect(panels(other).last).to_have_attribute("data-state", "done")


@pytest.mark.parametrize(
    ("words", "state"), [("tools=look_up rate=2", "receiving"), ("tools=book rate=0", "awaiting-approval")]
)
def test_stop_at_any_time(chat: ChatPage, words: str, state: str):
    """Stop while arguments arrive and while a call waits ends both, the call is stopped, and the composer is ready."""
    chat.ask(f"{words} Go")
    expect(panels(chat)).to_have_attribute("data-state", state)
    chat.stop_button.click()
    chat.wait_status("stopped")
    expect(panels(chat)).to_have_attribute("data-state", "stopped")
    expect(panels(chat).get_by_test_id("approve")).to_have_count(0)
    expect(chat.send_button).to_be_visible()
    chat.ask("tools=look_up rate=0 Go on").wait_status("finished")
