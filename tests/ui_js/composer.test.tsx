import { afterAll, expect, mock, spyOn, test } from "bun:test";

import { Composer } from "../../assets/chat/composer/composer";
import { MAX_CHARACTERS } from "../../assets/chat/composer/outbox";
import { crc32 } from "../../assets/chat/store/checksum";
import type { Model } from "../../assets/chat/store/frames";
import { act, fireEvent, renderChat, screen, waitFor } from "./dom";
import { message, open, streaming } from "./messages";

const fetched = spyOn(globalThis, "fetch").mockImplementation(
  (async () => new Response("{}")) as unknown as typeof fetch,
);
afterAll(() => fetched.mockRestore());

const models: Model[] = [
  { id: "openai:big", label: "Big", unavailable: "set OPENAI_API_KEY.", note: "" },
  { id: "local:small", label: "Small", unavailable: "", note: "A tiny model." },
  { id: "simulator:tour", label: "Tour", unavailable: "", note: "" },
];

function compose(address?: string, offered = models) {
  const onSend = mock((_text: string, _id: string, _model: string) => {});
  const onStop = mock((_waitingOnly: boolean, _seen: string[]) => {});
  const composer = (models: Model[]) => (
    <Composer models={models} defaultModel="local:small" onSend={onSend} onStop={onStop} />
  );
  const view = renderChat(composer(offered), { address });
  const offer = (models: Model[]) => view.replace(composer(models));
  const area = screen.getByTestId<HTMLTextAreaElement>("composer");
  const type = (text: string) => {
    area.value = text;
    fireEvent.input(area);
  };
  const enter = (more = {}) => fireEvent.keyDown(area, { key: "Enter", ...more });
  return { ...view, offer, area, type, enter, onSend, onStop };
}

test("Enter sends the text to the chosen model; the draft stays until it is accepted", () => {
  const { feed, area, type, enter, onSend } = compose();
  feed(open([]));
  type("hello");
  enter();
  const [text, id, model] = onSend.mock.calls[0];
  expect([text, model, area.value]).toEqual(["hello", "local:small", "hello"]);
  feed({ k: "sent", client_id: id, n: 1 });
  expect(area.value).toBe("");
});

test("a line break, a composition and the Enter that ends one do not send", () => {
  const { feed, area, type, enter, onSend } = compose();
  feed(open([]));
  type("漢");
  enter({ shiftKey: true });
  enter({ isComposing: true });
  enter({ keyCode: 229 });
  fireEvent.compositionEnd(area);
  enter();
  expect(onSend).not.toHaveBeenCalled();
});

test("two presses of Send are one message; nothing is sent twice by an acceptance", () => {
  const { feed, type, onSend } = compose();
  feed(open([]));
  type("hello");
  fireEvent.click(screen.getByTestId("send"));
  fireEvent.click(screen.getByTestId("send"));
  const ids = new Set(onSend.mock.calls.map(([, id]) => id));
  expect(ids.size).toBe(1);
});

test("after a reconnect what was not accepted is sent again, with the same id", () => {
  const { feed, type, enter, onSend } = compose();
  feed(open([]));
  type("hello");
  enter();
  feed(open([]));
  expect(onSend.mock.calls[1]).toEqual(onSend.mock.calls[0]);
});

test("a message that is on its way moves with its conversation to the new address, and stays the same message", () => {
  const { feed, area, type, enter, onSend } = compose("/");
  feed(open([], { conversation: null }));
  type("first");
  enter();
  feed({ k: "sent", client_id: onSend.mock.calls[0][1], n: 1 }, open([message("a", "x")], { begun: true }));
  type("second");
  enter();
  act(() => {
    history.replaceState(null, "", "/c/c");
    dispatchEvent(new PopStateEvent("popstate"));
  });
  expect(area.value).toBe("second");
  enter();
  const [, again, last] = onSend.mock.calls.map(([text, id]) => [text, id]);
  expect([again[0], last]).toEqual(["second", again]);
});

test("what the server refuses is shown, can be dismissed, and stays in the composer", () => {
  const { feed, area, type, enter, onSend } = compose();
  feed(open([]));
  type("hello");
  enter();
  feed({ k: "say", text: "Busy.", n: 1, client_id: onSend.mock.calls[0][1] });
  expect([screen.getByText("Busy.").textContent, area.value]).toEqual(["Busy.", "hello"]);
  fireEvent.click(screen.getByLabelText("Dismiss"));
  expect(screen.queryByText("Busy.")).toBeNull();
});

test("a message that is too long is not sent, and the composer says why", () => {
  const { feed, type, enter, onSend } = compose();
  feed(open([]));
  type("x".repeat(MAX_CHARACTERS + 1));
  enter();
  expect(onSend).not.toHaveBeenCalled();
  expect(screen.getByText(/too long/)).toBeTruthy();
});

test("while an answer is under way the same button stops it, by click and by Escape, and keeps the focus", () => {
  const { feed, type, enter, onSend, onStop } = compose();
  feed(open([]));
  const send = screen.getByTestId("send");
  send.focus();
  feed(open([streaming("a", "x", 1)]));
  const stop = screen.getByTestId("stop");
  expect(stop).toBe(send);
  expect(document.activeElement).toBe(stop);
  fireEvent.click(stop, { detail: 2 });
  expect(onStop).not.toHaveBeenCalled();
  fireEvent.click(stop, { detail: 1 });
  fireEvent.keyDown(document.body, { key: "Escape" });
  expect(onStop.mock.calls).toEqual([
    [false, ["a"]],
    [false, ["a"]],
  ]);
  type("more");
  enter();
  expect(onSend).not.toHaveBeenCalled();
});

test("Escape ends only what the person saw: an approval that still waits, and nothing that was just decided elsewhere", () => {
  const { chat, feed, onStop } = compose();
  const pressEscape = () => fireEvent.keyDown(document.body, { key: "Escape" });
  feed(open([streaming("a", "x", 1, { status: "waiting" })]));
  pressEscape();
  expect(onStop.mock.calls).toEqual([[true, ["a"]]]);
  feed({ k: "patch", m: "a", s: 2, set: {}, status: "streaming" });
  chat.decidedElsewhere.set(performance.now());
  pressEscape();
  expect(onStop).toHaveBeenCalledTimes(1);
  chat.decidedElsewhere.set(performance.now() - 10_000);
  pressEscape();
  expect(onStop.mock.calls[1]).toEqual([false, ["a"]]);
});

test("each conversation keeps its draft for the next visit", () => {
  const first = compose("/c/one");
  first.type("unsent");
  fireEvent(window, new Event("pagehide"));
  first.unmount();
  const other = compose("/c/two");
  expect(other.area.value).toBe("");
  other.unmount();
  expect(compose("/c/one").area.value).toBe("unsent");
});

test("the picker lists the models by provider, cannot choose one that is not available, and shows its note", () => {
  compose();
  const picker = screen.getByTestId<HTMLSelectElement>("model-picker");
  expect(picker.value).toBe("local:small");
  expect([...picker.querySelectorAll("optgroup")].map((group) => group.label)).toEqual([
    "OpenAI",
    "On this machine",
    "Simulator",
  ]);
  expect(picker.querySelector<HTMLOptionElement>("[value='openai:big']")?.disabled).toBe(true);
  expect(screen.getByText("A tiny model.")).toBeTruthy();
});

test("a chosen model is remembered; one that the address names counts first", () => {
  const first = compose();
  fireEvent.change(screen.getByTestId("model-picker"), { target: { value: "simulator:tour" } });
  first.unmount();
  const second = compose();
  expect(second.chat.model.get()).toBe("simulator:tour");
  second.unmount();
  expect(compose("/?model=local:small").chat.model.get()).toBe("local:small");
});

test("an address with a model that cannot answer says so", () => {
  // The models arrive after the page.
  const { offer } = compose("/?model=openai:big", []);
  offer(models);
  expect(screen.getByText(/OPENAI_API_KEY/, { selector: "p" })).toBeTruthy();
});

test("suggestions of the empty page are sent through the composer", () => {
  const { chat, feed, onSend } = compose();
  feed(open([]));
  act(() => chat.submit.get()?.("Show me", "simulator:tour"));
  const [text, , model] = onSend.mock.calls[0];
  expect([text, model]).toEqual(["Show me", "simulator:tour"]);
});

test("a question for several models names them; afterwards it is one again", () => {
  const more = ["simulator:two", "simulator:three"].map((id) => ({ id, label: id, unavailable: "", note: "" }));
  const { feed, type, enter, onSend } = compose(undefined, [...models, ...more]);
  feed(open([]));
  fireEvent.click(screen.getByTestId("compare"));
  const boxes = () => screen.getAllByTestId<HTMLInputElement>("compare-model");
  expect(boxes().map((box) => [box.dataset.model, box.disabled])).toEqual([
    ["openai:big", true],
    ["simulator:tour", false],
    ["simulator:two", false],
    ["simulator:three", false],
  ]);
  fireEvent.click(boxes()[1]);
  fireEvent.click(boxes()[3]);
  expect(boxes()[2].disabled).toBe(true);
  expect(screen.getByTestId("comparing").textContent).toBe("Side by side: Small · Tour · simulator:three");
  type("which?");
  enter();
  const [, id, model, extra] = onSend.mock.calls[0] as unknown as [string, string, string, { models: string[] }];
  expect([model, extra.models]).toEqual(["local:small", ["local:small", "simulator:tour", "simulator:three"]]);
  feed({ k: "sent", client_id: id, n: 1 });
  expect(screen.queryByTestId("comparing")).toBe(null);
  type("and now?");
  enter();
  expect((onSend.mock.calls[1] as unknown[])[3]).not.toHaveProperty("models");
});

test("while answers stand side by side, nothing is sent: one is to be kept first", () => {
  const { feed, area, type, enter, onSend } = compose();
  const both = ["a", "b"].map((id) => streaming(id, "", 0, { status: "finished" }));
  feed(open(both, { compared: ["a", "b"] }));
  type("go on");
  enter();
  expect(onSend).not.toHaveBeenCalled();
  expect(area.value).toBe("go on");
  expect(screen.getByText(/Keep one of the answers first/)).toBeTruthy();
});

test("what was written meanwhile is sent once a complete answer is kept, not before", () => {
  const { feed, area, type, enter, onSend } = compose("/c/c");
  const [a, b] = [streaming("a", "One", 1), streaming("b", "Two", 1)];
  feed(open([a, b], { compared: ["a", "b"] }));
  type("go on");
  enter();
  expect(area.value).toBe("");
  expect(screen.getByTestId("queued").textContent).toContain("go on");
  const end = { k: "end", s: 2, status: "finished", stop_reason: "stop", length: 3 } as const;
  for (const [m, text] of [
    ["a", "One"],
    ["b", "Two"],
  ])
    feed({ ...end, m, c: crc32(text) });
  expect(onSend).not.toHaveBeenCalled();
  feed({ k: "drop", m: "a" });
  feed({ k: "about", title: "T", model: "simulator:tour", settings: {}, n: 1 });
  expect(onSend.mock.calls[0][0]).toBe("go on");
});

test("after a click on Send one can go on writing; a new chat and a fresh page can be written in at once", () => {
  const { feed, area, type } = compose("/");
  expect(document.activeElement).toBe(area);
  area.blur();
  feed(open([]));
  type("hello");
  const send = screen.getByTestId("send");
  send.focus();
  fireEvent.click(send);
  expect(document.activeElement).toBe(area);
});

test("the focus is not taken from a field, nor on a page that leads to a message", () => {
  const field = document.body.appendChild(document.createElement("input"));
  field.focus();
  compose("/").unmount();
  expect(document.activeElement).toBe(field);
  field.remove();
  const { area } = compose("/c/c#message");
  expect(document.activeElement).not.toBe(area);
});

test("on a phone Enter breaks the line, and nothing takes the focus", () => {
  const original = globalThis.matchMedia;
  globalThis.matchMedia = ((query: string) => ({
    ...original.call(window, query),
    matches: query.includes("coarse"),
    addEventListener: () => {},
    removeEventListener: () => {},
  })) as typeof matchMedia;
  try {
    const { feed, area, type, enter, onSend } = compose("/");
    feed(open([], { conversation: null }));
    expect([document.activeElement === area, area.enterKeyHint || area.getAttribute("enterkeyhint")]).toEqual([
      false,
      "enter",
    ]);
    type("one");
    expect(enter()).toBe(true);
    expect(onSend).not.toHaveBeenCalled();
    fireEvent.click(screen.getByTestId("send"));
    expect(onSend).toHaveBeenCalledTimes(1);
  } finally {
    globalThis.matchMedia = original;
  }
});

const storedDraft = () => localStorage.getItem("streamchat.draft./c/two-tabs");

/** What another tab does to the stored draft. */
function storeElsewhere(value: object | null) {
  const key = "streamchat.draft./c/two-tabs";
  const [oldValue, newValue] = [localStorage.getItem(key), value && JSON.stringify(value)];
  if (newValue) localStorage.setItem(key, newValue);
  else localStorage.removeItem(key);
  fireEvent(window, new StorageEvent("storage", { key, oldValue, newValue }));
}

test("a draft that another tab sent is gone here too, and does not come back", () => {
  storeElsewhere({ text: "alpha", id: null });
  const { area, feed, enter, onSend, unmount } = compose("/c/two-tabs");
  feed(open([]));
  expect(area.value).toBe("alpha");
  storeElsewhere(null);
  expect(area.value).toBe("");
  enter();
  expect(onSend).not.toHaveBeenCalled();
  fireEvent(window, new Event("pagehide"));
  unmount();
  expect(storedDraft()).toBeNull();
});

test("a tab in which nothing was written leaves the draft of another one alone, and keeps what is written here", () => {
  const { area, type } = compose("/c/two-tabs");
  storeElsewhere({ text: "beta", id: null });
  expect(area.value).toBe("");
  fireEvent(window, new Event("pagehide"));
  expect(storedDraft()).toContain("beta");
  type("gamma");
  storeElsewhere({ text: "delta", id: null });
  expect(area.value).toBe("gamma");
});

/** Records the bodies of PATCH requests as they come; the first ones are lost. */
function patches({ lost = 0 } = {}): Record<string, unknown>[] {
  const bodies: Record<string, unknown>[] = [];
  fetched.mockImplementation((async (_url: string, { method, body }: RequestInit = {}) => {
    if (method === "PATCH" && lost-- > 0) throw new TypeError("no connection");
    if (method === "PATCH") bodies.push(JSON.parse(String(body)));
    return new Response("{}");
  }) as unknown as typeof fetch);
  return bodies;
}

/** What a browser does first when one presses elsewhere: the focus moves only after that. */
const pressElsewhere = () => act(() => void fireEvent.pointerDown(document.body));

test("what is typed in the panel of the parameters is stored, or stays, if one presses elsewhere", async () => {
  const sent = patches();
  const { feed } = compose();
  feed(open([]));
  fireEvent.click(screen.getByTestId("parameters"));
  fireEvent.change(screen.getByTestId("prompt-text"), { target: { value: "Sum up {text}" } });
  fireEvent.change(screen.getByTestId("preset-name"), { target: { value: "Brief" } });
  const system = screen.getByTestId<HTMLTextAreaElement>("system-prompt");
  act(() => system.focus());
  system.value = "Be brief.";
  pressElsewhere();
  expect(screen.queryByTestId("system-prompt")).toBe(null);
  await waitFor(() => expect(sent).toEqual([{ system: "Be brief.", options: {} }]));
  fireEvent.click(screen.getByTestId("parameters"));
  expect(screen.getByTestId<HTMLTextAreaElement>("prompt-text").value).toBe("Sum up {text}");
  expect(screen.getByTestId<HTMLInputElement>("preset-name").value).toBe("Brief");
});

test("two settings in a row are both stored, one after the other; a fraction is no matter of steps", async () => {
  const sent = patches();
  const { feed } = compose();
  feed(open([], { settings: { system: "Be brief." } }));
  fireEvent.click(screen.getByTestId("parameters"));
  const temperature = screen.getByTestId<HTMLInputElement>("temperature");
  temperature.value = "0.75";
  fireEvent.blur(temperature);
  fireEvent.change(screen.getByTestId("effort"), { target: { value: "low" } });
  const both = { system: "Be brief.", options: { temperature: 0.75, reasoning_effort: "low" } };
  await waitFor(() => expect(sent).toEqual([{ system: "Be brief.", options: { temperature: 0.75 } }, both]));
  // What another tab sets is what the next change is made to.
  await act(() => new Promise((resolve) => setTimeout(resolve)));
  feed({ k: "about", title: "T", model: "", settings: { max_tokens: 9 }, compared: [], n: 1 });
  fireEvent.change(screen.getByTestId("effort"), { target: { value: "high" } });
  await waitFor(() => expect(sent[2]).toEqual({ system: null, options: { max_tokens: 9, reasoning_effort: "high" } }));
});

test("a setting that could not be stored stays in its field, and is sent again when that is left", async () => {
  const sent = patches({ lost: 1 });
  const { feed } = compose();
  feed(open([]));
  fireEvent.click(screen.getByTestId("parameters"));
  const system = screen.getByTestId<HTMLTextAreaElement>("system-prompt");
  system.value = "Be brief.";
  fireEvent.blur(system);
  await screen.findByLabelText("Dismiss");
  expect(system.value).toBe("Be brief.");
  fireEvent.blur(system);
  await waitFor(() => expect(sent).toEqual([{ system: "Be brief.", options: {} }]));
});

test("a message that is accepted after New chat was pressed leaves the draft of the conversation that is opened next", () => {
  localStorage.setItem("streamchat.draft./c/b", JSON.stringify({ text: "a long draft", id: null }));
  const { feed, area, type, enter, onSend } = compose("/");
  const visit = (path: string, key: string) =>
    act(() => {
      history.pushState({ key, idx: 1 }, "", path);
      dispatchEvent(new PopStateEvent("popstate", { state: history.state }));
    });
  feed(open([], { conversation: null }));
  type("first");
  enter();
  visit("/", "new");
  feed({ k: "sent", client_id: onSend.mock.calls[0][1], n: 1 }, open([message("a", "x")], { begun: true }));
  visit("/c/b", "b");
  expect(area.value).toBe("a long draft");
  expect(localStorage.getItem("streamchat.draft./c/b")).toContain("a long draft");
});
