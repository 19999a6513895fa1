import { expect, mock, setSystemTime, test } from "bun:test";
import { EventLoopContext } from "$/utils/context-registry";
import { Header } from "../../assets/chat/shell/header";
import { NotifyToggle } from "../../assets/chat/shell/notify";
import { Sidebar } from "../../assets/chat/shell/sidebar";
import { crc32 } from "../../assets/chat/store/checksum";
import type { ToolsFrame } from "../../assets/chat/store/frames";
import { act, fireEvent, renderChat, screen } from "./dom";
import { open, streaming } from "./messages";

const tools: ToolsFrame = {
  k: "tools",
  conversation: "c",
  servers: [{ name: "files", state: "failed", sentence: "It ended.", on: true }],
  tools: [
    { name: "calculate", description: "Sums", server: "", asks: false, on: true },
    { name: "read", description: "", server: "files", asks: true, on: true },
  ],
  n: 1,
};

function header(errors: unknown[] = []) {
  const onTools = mock(() => {});
  const onSwitch = mock((_name: string, _on: boolean) => {});
  const content = (errors: unknown[]) => (
    <EventLoopContext.Provider value={[null, errors]}>
      <Header onTools={onTools} onSwitch={onSwitch} />
    </EventLoopContext.Provider>
  );
  const view = renderChat(content(errors));
  const connection = (errors: unknown[]) => view.replace(content(errors));
  return { ...view, connection, onTools, onSwitch };
}

test("the list of tools is requested when it is opened, and each can be switched", () => {
  const { feed, onTools, onSwitch } = header();
  fireEvent.click(screen.getByTestId("tools"));
  expect(onTools).toHaveBeenCalledTimes(1);
  expect(screen.getByText("Loading …")).toBeTruthy();
  feed(tools);
  expect(screen.getByText("asks first")).toBeTruthy();
  expect(screen.getByText("It ended.")).toBeTruthy();
  fireEvent.click(screen.getByLabelText(/^calculate/));
  expect(onSwitch.mock.calls).toEqual([["calculate", false]]);
  expect(screen.getByLabelText<HTMLInputElement>(/^calculate/).checked).toBe(false);
});

test("tools of a server that is off cannot be switched, and in a new chat none can", () => {
  const { feed } = header();
  fireEvent.click(screen.getByTestId("tools"));
  const disabled = () => screen.getAllByRole<HTMLInputElement>("checkbox").map((box) => box.disabled);
  feed({ ...tools, servers: [{ ...tools.servers[0], on: false }] });
  expect(disabled()).toEqual([false, false, true]);
  feed({ ...tools, conversation: null, n: 2 });
  expect(disabled()).toEqual([true, true, true]);
});

test("Escape closes the list, returns the focus, and does not reach the page", () => {
  const { feed } = header();
  const button = screen.getByTestId("tools");
  fireEvent.click(button);
  feed(tools);
  screen.getByLabelText(/^calculate/).focus();
  expect(fireEvent.keyDown(document.body, { key: "Escape" })).toBe(false);
  expect(screen.queryByLabelText(/^calculate/)).toBeNull();
  expect(document.activeElement).toBe(button);
});

test("a press elsewhere closes the list", () => {
  const { feed } = header();
  fireEvent.click(screen.getByTestId("tools"));
  feed(tools);
  fireEvent.pointerDown(document.body);
  expect(screen.queryByLabelText(/^calculate/)).toBeNull();
});

test("a lost connection is shown after a moment, and what comes then is not believed before an open", async () => {
  const { chat, feed, connection } = header();
  feed(open([streaming("a", "x", 1)]));
  connection([new Error("lost")]);
  expect(screen.queryByText("Reconnecting…")).toBeNull();
  expect(await screen.findByText("Reconnecting…", {}, { timeout: 10_000 })).toBeTruthy();
  feed({ m: "a", s: 2, p: 0, o: 1, t: "y" });
  expect(chat.store.stats.pieces).toBe(0);
  connection([]);
  expect(screen.queryByText("Reconnecting…")).toBeNull();
});

test("the header has the title of the conversation, and the sidebar marks it and those that answer", () => {
  const { feed } = header();
  feed(open([], { title: "A title" }));
  expect(screen.getByText("A title")).toBeTruthy();
  const when = new Date().toISOString();
  const rows = [
    { id: "c", title: "Here", answering: false, when },
    { id: "d", title: "", answering: true, when },
  ];
  renderChat(<Sidebar rows={rows} />);
  const [here, other] = screen.getAllByTestId("conversation-item");
  expect([here.getAttribute("aria-current"), here.dataset.answering]).toEqual(["page", "false"]);
  expect([other.getAttribute("href"), other.dataset.answering]).toEqual(["/c/d", "true"]);
  expect(other.textContent).toBe("New chat");
});

test("on a narrow screen the sidebar takes the focus, and Escape gives it back", () => {
  const { chat } = renderChat(
    <>
      <button type="button">before</button>
      <Sidebar rows={[]} />
    </>,
  );
  const before = screen.getByText("before");
  before.focus();
  act(() => chat.sidebarOpen.set(true));
  expect(document.getElementById("sidebar")?.contains(document.activeElement)).toBe(true);
  expect(fireEvent.keyDown(document.body, { key: "Escape" })).toBe(false);
  expect([chat.sidebarOpen.get(), document.activeElement]).toEqual([false, before]);
});

test("at midnight what was of today is of yesterday", () => {
  setSystemTime(new Date(2025, 5, 3, 23, 55));
  try {
    const row = { id: "a", title: "Late", answering: false, when: new Date(2025, 5, 3, 23, 50).toISOString() };
    renderChat(<Sidebar rows={[row]} />);
    expect(screen.getByRole("heading", { name: "Today" })).toBeTruthy();
    setSystemTime(new Date(2025, 5, 4, 0, 5));
    fireEvent(document, new Event("visibilitychange"));
    expect(screen.getByRole("heading", { name: "Yesterday" })).toBeTruthy();
  } finally {
    setSystemTime();
  }
});

test("that an answer waits is news as long as it does; that one is ready, until the tab is looked at", () => {
  const { chat, feed } = renderChat(<NotifyToggle />);
  feed(open([streaming("a", "x", 1, { status: "waiting" })]));
  expect(chat.news.get()).toBe("waiting");
  feed({ k: "patch", m: "a", s: 2, set: {}, status: "streaming" });
  expect(chat.news.get()).toBe("");
  Object.defineProperty(document, "hidden", { configurable: true, value: true });
  feed({ k: "patch", m: "a", s: 3, set: {}, status: "waiting" });
  expect(chat.news.get()).toBe("waiting");
  feed({ k: "end", m: "a", s: 4, status: "finished", stop_reason: "stop", length: 1, c: crc32("x") });
  expect(chat.news.get()).toBe("ready");
  Reflect.deleteProperty(document, "hidden");
  fireEvent(document, new Event("visibilitychange"));
  expect(chat.news.get()).toBe("");
  feed(open([streaming("a", "x", 1, { status: "waiting" })]));
  feed(open([], { conversation: "d" }));
  expect(chat.news.get()).toBe("");
});

test("the list says which conversation needs a person, and which is only answering", () => {
  const when = new Date().toISOString();
  renderChat(
    <Sidebar
      rows={[
        { id: "c", title: "Asks", answering: true, waiting: true, when },
        { id: "d", title: "Writes", answering: true, waiting: false, when },
      ]}
    />,
  );
  const [asks, writes] = screen.getAllByTestId("conversation-item");
  expect([asks.textContent, asks.querySelector(".dot")]).toEqual(["AsksNeeds you", null]);
  expect(writes.querySelector(".dot")?.getAttribute("aria-label")).toBe("answering");
});
