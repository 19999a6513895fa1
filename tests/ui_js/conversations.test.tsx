import { afterEach, beforeEach, expect, mock, test } from "bun:test";
import { Composer } from "../../assets/chat/composer/composer";
import { leavesThisMachine } from "../../assets/chat/composer/models";
import { Queue } from "../../assets/chat/composer/queue";
import { type Pages, usePages, withChanges } from "../../assets/chat/shell/pages";
import { Sidebar } from "../../assets/chat/shell/sidebar";
import type { ConversationRow, Model } from "../../assets/chat/store/frames";
import { EditBox, QuestionActions } from "../../assets/chat/transcript/message-actions";
import { UndoBar } from "../../assets/chat/transcript/undo";
import { act, fireEvent, renderChat, screen, waitFor } from "./dom";
import { message, open, opened, streaming, viewOf } from "./messages";

interface Call {
  method: string;
  path: string;
  body: unknown;
}

// What the server gets, and what it answers.
let calls: Call[] = [];
let respond: (path: string) => { status: number; body: unknown };
const original = globalThis.fetch;

beforeEach(() => {
  calls = [];
  respond = () => ({ status: 200, body: {} });
  globalThis.fetch = (async (path: string, { method = "GET", body }: RequestInit = {}) => {
    calls.push({ method, path, body: body ? JSON.parse(String(body)) : undefined });
    const answer = respond(path);
    return new Response(JSON.stringify(answer.body), { status: answer.status });
  }) as typeof fetch;
});

afterEach(() => {
  globalThis.fetch = original;
  localStorage.clear();
});

const models: Model[] = [
  { id: "local:small", label: "Small", unavailable: "", note: "", remote: false },
  { id: "simulator:tour", label: "Tour", unavailable: "", note: "", remote: false },
  { id: "openai:big", label: "Big", unavailable: "", note: "", remote: true },
];

function compose(address = "/c/c") {
  const onSend = mock((_text: string, _id: string, _model: string, _extra?: object) => {});
  const onStop = mock(() => {});
  const view = renderChat(<Composer models={models} defaultModel="local:small" onSend={onSend} onStop={onStop} />, {
    address,
  });
  const area = screen.getByTestId<HTMLTextAreaElement>("composer");
  const send = (text: string) => {
    area.value = text;
    fireEvent.input(area);
    fireEvent.keyDown(area, { key: "Enter" });
  };
  return { ...view, area, send, onSend, onStop };
}

test("the picker has the model of the conversation, whatever this browser chose last", () => {
  localStorage.setItem("streamchat.model", '"openai:big"');
  const { feed, send, onSend } = compose();
  feed(open([message("a", "x")], { model: "simulator:tour" }));
  expect(screen.getByTestId<HTMLSelectElement>("model-picker").value).toBe("simulator:tour");
  send("hello");
  expect(onSend.mock.calls[0].slice(2)).toEqual(["simulator:tour", { conversation: "c" }]);
  feed({ k: "about", title: "T", model: "local:small", settings: {}, n: 1 });
  expect(screen.getByTestId<HTMLSelectElement>("model-picker").value).toBe("local:small");
});

test("a model that is not offered any more stays chosen, and is named", () => {
  const { feed } = compose();
  feed(open([message("a", "x")], { model: "gone:model" }));
  expect(screen.getByTestId<HTMLSelectElement>("model-picker").value).toBe("gone:model");
  expect(screen.getByText(/not offered/)).toBeTruthy();
});

test("what is sent before the conversation is there waits for it and for its model", () => {
  const { feed, send, onSend } = compose("/c/other");
  feed(open([message("a", "x")], { model: "openai:big" }));
  send("hello");
  expect(onSend).not.toHaveBeenCalled();
  feed(open([message("b", "y")], { conversation: "other", model: "local:small" }));
  expect(onSend.mock.calls.map(([text, , model, extra]) => [text, model, extra])).toEqual([
    ["hello", "local:small", { conversation: "other" }],
  ]);
});

test("a new chat is sent with its settings", () => {
  const { chat, feed, send, onSend } = compose("/");
  feed(open([], { conversation: null }));
  act(() => chat.settings.set({ system: "Be brief." }));
  send("hello");
  expect(onSend.mock.calls[0][3]).toEqual({ conversation: null, system: "Be brief." });
});

test("going from this machine to a remote model is a question first", async () => {
  const { feed } = compose();
  feed(open([message("a", "x")], { model: "local:small" }));
  const picker = screen.getByTestId<HTMLSelectElement>("model-picker");
  fireEvent.change(picker, { target: { value: "openai:big" } });
  expect(calls).toEqual([]);
  fireEvent.click(screen.getByTestId("stay-local"));
  expect(picker.value).toBe("local:small");
  fireEvent.change(picker, { target: { value: "openai:big" } });
  fireEvent.click(screen.getByTestId("confirm-remote"));
  await waitFor(() => expect(calls).toHaveLength(1));
  expect(calls[0]).toEqual({ method: "PATCH", path: "/api/conversations/c", body: { model: "openai:big" } });
  expect(leavesThisMachine(models, "openai:big", "openai:big")).toBe(false);
  expect(leavesThisMachine(models, "gone:model", "openai:big")).toBe(true);
});

test("a follow-up is queued while an answer is under way, and sent once at its end", () => {
  const { feed, send, area, onSend } = compose();
  feed(open([streaming("a", "x", 1)], { model: "local:small" }));
  send("first");
  send("second");
  expect(area.value).toBe("");
  expect(screen.getAllByTestId("queued").map((item) => item.textContent)).toEqual(["firstNow", "secondNow"]);
  feed({ k: "end", m: "a", s: 2, status: "finished", stop_reason: "stop", length: 1, c: 2363233923 });
  expect(onSend.mock.calls.map(([text]) => text)).toEqual(["first"]);
  feed({ k: "sent", client_id: onSend.mock.calls[0][1], n: 1 });
  expect(screen.getAllByTestId("queued")).toHaveLength(1);
  expect(JSON.parse(localStorage.getItem("streamchat.queue.c") ?? "")).toHaveLength(1);
});

test("after Stop the queue stays until the person says more; a message can be changed or removed", () => {
  const { feed, send, area, onSend, onStop } = compose();
  feed(open([streaming("a", "x", 1)], { model: "local:small" }));
  send("first");
  send("second");
  fireEvent.click(screen.getAllByLabelText("Edit")[0]);
  expect(area.value).toBe("first");
  feed({ k: "end", m: "a", s: 2, status: "stopped", stop_reason: null, length: 1, c: 2363233923 });
  expect(onSend).not.toHaveBeenCalled();
  fireEvent.click(screen.getByTestId("send-now"));
  expect(onSend.mock.calls.map(([text]) => text)).toEqual(["second"]);
  expect(onStop).not.toHaveBeenCalled();
});

test("a queue that waits after an error is not sent because the answer is deleted", () => {
  const { feed, send, onSend } = compose();
  const question = message("q", "hi", { role: "user" });
  feed(open([question, streaming("a", "x", 1)], { model: "local:small" }));
  send("first");
  feed({ k: "end", m: "a", s: 2, status: "failed", stop_reason: null, length: 1, c: 2363233923 });
  feed({ k: "drop", m: "a" });
  expect(onSend).not.toHaveBeenCalled();
  feed({ k: "messages", messages: [message("b", "y")], n: 1 });
  expect(onSend.mock.calls.map(([text]) => text)).toEqual(["first"]);
});

test("Now stops the answer and sends the message", () => {
  const { feed, send, onSend, onStop } = compose();
  feed(open([streaming("a", "x", 1)], { model: "local:small" }));
  send("first");
  fireEvent.click(screen.getByTestId("send-now"));
  expect(onStop).toHaveBeenCalledTimes(1);
  feed({ k: "end", m: "a", s: 2, status: "stopped", stop_reason: null, length: 1, c: 2363233923 });
  expect(onSend.mock.calls.map(([text]) => text)).toEqual(["first"]);
});

test("a queued message that was lost with the connection is sent again from its conversation, and from no other", () => {
  const { feed, send, onSend } = compose();
  const asked = () => onSend.mock.calls.map(([text, id]) => [text, id]);
  feed(open([streaming("a", "x", 1)], { model: "local:small" }));
  send("first");
  send("second");
  feed({ k: "end", m: "a", s: 2, status: "finished", stop_reason: "stop", length: 1, c: 2363233923 });
  const [first] = asked();
  feed(open([message("a", "x")]));
  expect(asked()).toEqual([first, first]);
  feed(open([message("b", "y")], { conversation: "other" }));
  expect(asked()).toHaveLength(2);
  feed(open([message("a", "x")]));
  expect(asked()).toEqual([first, first, first]);
  feed({ k: "sent", client_id: first[1], n: 1 });
  expect(screen.getAllByTestId("queued").map((item) => item.textContent)).toEqual(["secondNow"]);
});

test("a queued message is sent from a hidden tab, which is not painted", () => {
  const { chat, feed, send, onSend } = compose();
  feed(open([streaming("a", "x", 1)], { model: "local:small" }));
  send("first");
  Object.defineProperty(document, "hidden", { value: true, configurable: true });
  act(() =>
    chat.store.feed({ k: "end", m: "a", s: 2, status: "finished", stop_reason: "stop", length: 1, c: 2363233923 }),
  );
  Reflect.deleteProperty(document, "hidden");
  expect(onSend.mock.calls.map(([text]) => text)).toEqual(["first"]);
});

function fail(text: string): never {
  throw new Error(text);
}

test("without storage the queue lasts as long as the page", () => {
  const storage = localStorage;
  const full = { getItem: () => null, setItem: () => fail("full"), removeItem: () => fail("full") };
  const use = (value: unknown) => Object.defineProperty(globalThis, "localStorage", { value, configurable: true });
  use(full);
  try {
    const queue = new Queue();
    queue.at("c");
    for (const id of ["1", "2", "3"]) queue.add({ id, text: id, model: "m" });
    queue.remove("2");
    queue.at("other");
    expect(queue.list()).toEqual([]);
    queue.at("c");
    expect(queue.list().map(({ id }) => id)).toEqual(["1", "3"]);
    use(storage);
    queue.add({ id: "4", text: "4", model: "m" });
    localStorage.removeItem("streamchat.queue.c"); // another tab sent them
    queue.read();
    expect(queue.list()).toEqual([]);
  } finally {
    use(storage);
  }
});

test("what another tab changed is read, and what is no queue is none", () => {
  const queue = new Queue();
  queue.at("c");
  localStorage.setItem("streamchat.queue.c", '[{"id":"1","text":"x","model":"m"},{"id":2},null]');
  queue.read();
  expect(queue.list().map(({ id }) => id)).toEqual(["1"]);
  localStorage.setItem("streamchat.queue.c", '{"a":1}');
  queue.read();
  expect(queue.list()).toEqual([]);
});

test("versions are walked, and the first and the last have no way on", async () => {
  const { store } = opened(message("b", "text", { role: "user", versions: ["a", "b", "c"] }));
  const { feed, replace } = renderChat(<QuestionActions view={viewOf(store, "b")} onEdit={() => {}} />);
  feed(open([]));
  const branch = screen.getByTestId("branch");
  expect([branch.dataset.index, branch.dataset.count, branch.textContent]).toEqual(["2", "3", "2 / 3"]);
  fireEvent.click(screen.getByTestId("branch-next"));
  await waitFor(() => expect(calls.map(({ path }) => path)).toEqual(["/api/messages/c/select"]));
  const first = opened(message("a", "text", { role: "user", versions: ["a", "b"] })).store;
  replace(<QuestionActions view={viewOf(first, "a")} onEdit={() => {}} />);
  expect(screen.getByTestId<HTMLButtonElement>("branch-previous").disabled).toBe(true);
});

test("a deleted message can be brought back", async () => {
  const { store } = opened(message("b", "text", { role: "user" }));
  const { feed } = renderChat(
    <>
      <QuestionActions view={viewOf(store, "b")} onEdit={() => {}} />
      <UndoBar />
    </>,
  );
  feed(open([]));
  fireEvent.click(screen.getByTestId("delete-message"));
  fireEvent.click(await screen.findByTestId("undo"));
  expect(calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "DELETE /api/messages/b",
    "POST /api/messages/b/restore",
  ]);
  expect(screen.queryByTestId("undo")).toBeNull();
});

test("an edited question is sent once; what the server refuses is shown and stays", async () => {
  respond = () => ({ status: 422, body: { error: { message: "Busy.", kind: "x" } } });
  const { store } = opened(message("b", "text", { role: "user" }));
  const onClose = mock(() => {});
  const { chat, feed } = renderChat(<EditBox view={viewOf(store, "b")} onClose={onClose} />);
  feed(open([]));
  const shown: string[] = [];
  chat.store.onFrame((frame) => frame.k === "say" && shown.push(frame.text));
  const box = screen.getByTestId<HTMLTextAreaElement>("edit-box");
  box.value = "better";
  fireEvent.keyDown(box, { key: "Enter" });
  fireEvent.keyDown(box, { key: "Enter" });
  await waitFor(() => expect(shown).toEqual(["Busy."]));
  expect(onClose).not.toHaveBeenCalled();
  respond = () => ({ status: 201, body: {} });
  fireEvent.click(screen.getByTestId("edit-save"));
  await waitFor(() => expect(onClose).toHaveBeenCalledTimes(1));
  const bodies = calls.map(({ body }) => body as { message: string; client_message_id: string });
  expect(bodies.map(({ message }) => message)).toEqual(["better", "better"]);
  expect(bodies[0].client_message_id).toBe(bodies[1].client_message_id);
});

test("a conversation is renamed in the list; Escape leaves its title", async () => {
  const rows = [{ id: "c", title: "Old", answering: false, when: new Date().toISOString(), pinned: true }];
  renderChat(<Sidebar rows={rows} />);
  expect(screen.getByText("Pinned")).toBeTruthy();
  const rename = () => {
    fireEvent.click(screen.getByTestId("conversation-menu"));
    fireEvent.click(screen.getByTestId("rename"));
    return screen.getByTestId<HTMLInputElement>("rename-box");
  };
  fireEvent.keyDown(rename(), { key: "Escape" });
  expect(calls).toEqual([]);
  const box = rename();
  box.value = "<b>New</b>";
  fireEvent.keyDown(box, { key: "Enter" });
  await waitFor(() => expect(calls).toHaveLength(1));
  expect(calls[0].body).toEqual({ title: "<b>New</b>" });
});

test("search results are links to messages with their matches marked", async () => {
  respond = () => ({
    status: 200,
    body: { hits: [{ conversation_id: "c", title: "T", message_id: "m", snippet: "a «heron» <b>" }], next: null },
  });
  renderChat(<Sidebar rows={[]} />);
  fireEvent.change(screen.getByTestId("search"), { target: { value: "heron & co" } });
  const hit = await screen.findByTestId("search-hit");
  expect(hit.getAttribute("href")).toBe("/c/c#m");
  expect(hit.querySelector("mark")?.textContent).toBe("heron");
  expect(hit.querySelector("b")).toBeNull();
  expect(calls[0].path).toBe("/api/search?q=heron+%26+co");
});

test("what is typed into the parameters is kept while another field is stored", async () => {
  const { feed } = compose();
  const changes = () => calls.filter(({ method }) => method !== "GET").map(({ body }) => body);
  feed(open([message("a", "x")], { model: "local:small" }));
  fireEvent.click(screen.getByTestId("parameters"));
  const prompt = screen.getByTestId<HTMLTextAreaElement>("system-prompt");
  const tokens = screen.getByTestId<HTMLInputElement>("max-tokens");
  prompt.focus();
  prompt.value = "Be brief.";
  tokens.focus();
  tokens.value = "9";
  await waitFor(() => expect(changes()).toEqual([{ system: "Be brief.", options: {} }]));
  feed({ k: "about", title: "T", model: "local:small", settings: { system: "Be brief." }, n: 1 });
  expect([screen.getByTestId("max-tokens"), tokens.value, prompt.value]).toEqual([tokens, "9", "Be brief."]);
  tokens.blur();
  await waitFor(() => expect(changes()).toHaveLength(2));
  expect(changes()[1]).toEqual({ system: "Be brief.", options: { max_tokens: 9 } });
  feed({ k: "about", title: "T", model: "local:small", settings: { system: "From another tab." }, n: 2 });
  expect(prompt.value).toBe("From another tab.");
});

test("what changed in the list takes its place in it, and what is gone leaves it", () => {
  const row = (id: string, minute: number, more: Partial<ConversationRow> = {}): ConversationRow => ({
    id,
    title: id,
    answering: false,
    when: `2026-11-30T10:${minute}:00+00:00`,
    ...more,
  });
  const whole = [row("p", 10, { pinned: true }), row("c", 30), row("b", 20), row("a", 11, { cursor: "next" })];
  expect(withChanges(whole, { rows: [], gone: [] })).toBe(whole);
  const rows = withChanges(whole, {
    rows: [row("new", 50), row("a", 40, { answering: true }), row("b", 20, { pinned: true })],
    gone: ["c"],
  });
  expect(rows.map(({ id }) => id)).toEqual(["b", "p", "new", "a"]);
  expect(rows.map(({ cursor }) => cursor)).toEqual([undefined, undefined, undefined, "next"]);
});

// Pages of a hundred conversations, the newest first.
function pagesOf(newest: number) {
  const row = (n: number): ConversationRow => ({
    id: `c${n}`,
    title: "T",
    answering: false,
    when: new Date(n * 1000).toISOString(),
  });
  const rows = (last: number) => Array.from({ length: 100 }, (_, i) => row(last - i));
  const first = (last: number) => [...rows(last).slice(0, -1), { ...row(last - 99), cursor: `before ${last - 99}` }];
  respond = () => ({
    status: 200,
    body: { conversations: rows(newest - 100).map(({ when, ...row }) => ({ ...row, updated_at: when })), next: null },
  });
  const shown: { pages?: Pages } = {};
  function Shown({ first }: { first: ConversationRow[] }) {
    shown.pages = usePages(first);
    return null;
  }
  const view = renderChat(<Shown first={first(newest)} />);
  const ids = () => shown.pages?.rows.map(({ id }) => id) ?? [];
  const replace = (rows: ConversationRow[]) => view.replace(<Shown first={rows} />);
  const load = async () => {
    act(() => shown.pages?.load());
    await waitFor(() => expect(ids()).toHaveLength(200));
  };
  const numbers = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, i) => `c${from - i}`);
  return { shown, first, ids, replace, load, numbers };
}

test("rows that newer ones push off the first page stay between it and the next one", async () => {
  const { first, ids, replace, load, numbers } = pagesOf(200);
  await load();
  replace(first(205));
  expect(ids()).toEqual(numbers(205, 1));
  replace(first(205).filter(({ id }) => id !== "c150"));
  expect(ids()).toEqual(numbers(205, 1).filter((id) => id !== "c150"));
});

test("a row that came up from a later page and is gone then is not there again", async () => {
  const { first, ids, replace, load } = pagesOf(200);
  await load();
  const up = { id: "c50", title: "T", answering: true, when: new Date(300_000).toISOString() };
  replace([up, ...first(200)]);
  expect(ids().indexOf("c50")).toBe(0);
  replace(first(200));
  expect(ids()).not.toContain("c50");
});

test("where there may be others between the pages, the next one is loaded again", async () => {
  const { shown, first, ids, replace, load, numbers } = pagesOf(200);
  await load();
  replace(first(400));
  expect(ids()).toEqual(numbers(400, 301));
  act(() => shown.pages?.load());
  await waitFor(() => expect(calls.at(-1)?.path).toContain("before+301"));
});

test("an archive that is refused is not said to be done", async () => {
  respond = () => ({ status: 503, body: { error: { message: "Busy.", kind: "x" } } });
  const row = { id: "c", title: "Kept", answering: false, when: new Date().toISOString() };
  const { chat } = renderChat(<Sidebar rows={[row]} />);
  const said: string[] = [];
  chat.store.onFrame((frame) => frame.k === "say" && said.push(frame.text));
  const archive = async () => {
    fireEvent.click(screen.getByTestId("conversation-menu"));
    fireEvent.click(screen.getByTestId("archive"));
    await act(() => new Promise((resolve) => setTimeout(resolve, 20)));
  };
  await archive();
  expect([said, chat.undo.get()]).toEqual([["Busy."], null]);
  respond = () => ({ status: 200, body: {} });
  await archive();
  expect(chat.undo.get()?.text).toBe("Conversation archived.");
});

test("the list behind @ is told to screen readers as long as it is there", async () => {
  const preset = (name: string) => ({
    ...{ id: name, kind: "preset" as const, name, model: "", system: null, options: {}, tools_off: [], text: "" },
  });
  respond = () => ({ status: 200, body: { presets: [preset("Brief"), preset("Broad")] } });
  const { chat, feed, area } = compose();
  feed(open([]));
  area.focus();
  area.value = "@B";
  fireEvent.input(area);
  act(() => chat.presets.set([preset("Brief"), preset("Broad")]));
  const attributes = () => ["aria-controls", "aria-activedescendant"].map((name) => area.getAttribute(name));
  const [first, second] = screen.getAllByRole("option");
  expect(attributes()).toEqual([screen.getByRole("listbox").id, first.id]);
  fireEvent.keyDown(area, { key: "ArrowDown" });
  expect(attributes()[1]).toBe(second.id);
  expect(second.id).not.toBe(first.id);
  fireEvent.keyDown(area, { key: "Escape" });
  expect(attributes()).toEqual([null, null]);
});
