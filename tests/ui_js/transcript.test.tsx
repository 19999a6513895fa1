import { afterEach, beforeEach, expect, mock, setSystemTime, spyOn, test } from "bun:test";
import { visitNow } from "../../assets/chat/common/address";
import { visit } from "../../assets/chat/common/storage";
import { crc32 } from "../../assets/chat/store/checksum";
import type { Frame, OpenFrame } from "../../assets/chat/store/frames";
import { type MessageView, textOf } from "../../assets/chat/store/message-parts";
import { Transcript } from "../../assets/chat/transcript/transcript";
import { act, cleanup, find, fireEvent, renderChat, screen, toggle, waitFor } from "./dom";
import { message, open, streaming } from "./messages";
import { ReflexState } from "./reflex-state";

// The details ask the server when the answer was written; there is none here.
const original = globalThis.fetch;
beforeEach(() => {
  globalThis.fetch = (async () => Response.json({}, { status: 404 })) as unknown as typeof fetch;
});
afterEach(() => {
  globalThis.fetch = original;
});

async function show(...messages: Parameters<typeof open>[0]) {
  return showOpen(open(messages));
}

async function showOpen(frame: OpenFrame, address?: string) {
  const { messages } = frame;
  const handlers = {
    onResync: mock(() => {}),
    onRetry: mock((..._: string[]) => {}),
    onContinue: mock((..._: string[]) => {}),
    onEarlier: mock((_: string) => {}),
    onDecide: mock((..._: unknown[]) => {}),
    onPace: mock((_: number) => {}),
  };
  const reflex = new ReflexState();
  const page = reflex.provide(<Transcript state={reflex.name} {...handlers} />);
  const view = renderChat(page, { address });
  /** What the server sends, through Reflex's own state. */
  const send = (frame: Frame) =>
    act(() => {
      reflex.set({ f: frame });
      view.chat.store.flush();
    });
  send(frame);
  // The module of messages is loaded after the page.
  if (messages.length) await screen.findAllByTestId("message");
  // Components subscribe to the store in effects, which are complete before another rendering.
  view.replace(page);
  return { ...view, ...handlers, send };
}

const answers = () => screen.queryAllByTestId("answer").map((element) => element.textContent);

test("a hidden tab asks for fewer pieces, and for more of them when it is shown", async () => {
  const { onPace } = await show(streaming("a", "One", 1));
  // A machine that is slow to paint has asked for fewer a moment ago: then it asks again within a second.
  const latest = () => onPace.mock.calls.at(-1)?.[0] ?? 0;
  Object.defineProperty(document, "hidden", { configurable: true, value: true });
  try {
    document.dispatchEvent(new Event("visibilitychange"));
    await waitFor(() => expect(latest()).toBe(1000), { timeout: 30_000 });
  } finally {
    Reflect.deleteProperty(document, "hidden"); // as before: the prototype's
  }
  document.dispatchEvent(new Event("visibilitychange"));
  await waitFor(() => expect(latest()).toBeLessThan(1000), { timeout: 30_000 });
}, 90_000);

test("a conversation that begins in a new chat is shown and has its address at once; the router goes there later", async () => {
  const opens: Frame = { k: "open", g: 1, conversation: null, title: "", messages: [], earlier: false, missing: false };
  const { send, container, chat } = await showOpen(opens, "/");
  chat.askedIn.set(visitNow());
  send(open([message("q", "Hi", { role: "user" }), streaming("a", "One", 1)], { begun: true }));
  await waitFor(() => expect(answers()).toEqual(["One"]));
  expect(location.pathname).toBe("/c/c");
  const moved = mock(() => {});
  const { replaceState } = history;
  history.replaceState = (...entry) => {
    moved();
    replaceState.apply(history, entry);
  };
  try {
    await waitFor(() => expect(moved).toHaveBeenCalled(), { timeout: 30_000 });
  } finally {
    history.replaceState = replaceState;
  }
  expect([answers(), container.querySelector(".skeleton")]).toEqual([["One"], null]);
}, 60_000);

test("what was begun in a chat that was left at once is not shown in the new one, which is asked for again", async () => {
  const opens: Frame = { k: "open", g: 1, conversation: null, title: "", messages: [], earlier: false, missing: false };
  const { send, chat, onResync } = await showOpen(opens, "/");
  chat.askedIn.set(visitNow());
  history.pushState({ key: "another visit", idx: 1 }, "", "/");
  send(open([message("q", "Hi", { role: "user" }), streaming("a", "One", 1)], { begun: true }));
  expect([chat.store.meta().conversation, location.pathname]).toEqual([null, "/"]);
  expect(onResync).toHaveBeenCalledTimes(1);
});

test("frames from Reflex's state become messages, piece by piece, and only the answer that grows changes", async () => {
  const { send } = await show(message("q", "Hi", { role: "user" }), streaming("a", "One", 1));
  const question = screen.getAllByTestId("message")[0].innerHTML;
  send({ m: "a", s: 2, p: 0, o: 3, t: " two" });
  send({ m: "a", s: 3, p: 0, o: 7, t: " three" });
  expect(answers()).toEqual(["One two three"]);
  expect(screen.getAllByTestId("message")[0].innerHTML).toBe(question);
});

test("the same text twice in a row is two pieces", async () => {
  const { send } = await show(streaming("a", "", 0));
  send({ m: "a", s: 1, p: 0, o: 0, t: "ha" });
  send({ m: "a", s: 2, p: 0, o: 2, t: "ha" });
  expect(answers()).toEqual(["haha"]);
});

test("a gap asks the server for the transcript", async () => {
  const { send, onResync } = await show(streaming("a", "One", 1));
  send({ m: "a", s: 9, p: 0, o: 50, t: "x" });
  await waitFor(() => expect(onResync).toHaveBeenCalledTimes(1));
});

test("a broken answer says why and offers what the server offers, once per message", async () => {
  const broken = { status: "interrupted", why: "It was cut off.", offers: ["retry", "continue"] } as const;
  const { onRetry, onContinue } = await show(message("a", "Half", { ...broken, offers: [...broken.offers] }));
  expect(screen.getByTestId("error").textContent).toBe("It was cut off.");
  for (const name of ["retry", "retry", "continue"]) fireEvent.click(screen.getByTestId(name));
  const [first, second] = onRetry.mock.calls;
  expect(second).toEqual(first);
  expect([first[0], first[2]]).toEqual(["a", "m"]);
  expect(onContinue.mock.calls[0][1]).not.toBe(first[1]);
});

test("only the last answer can be retried", async () => {
  const failed = { status: "failed", why: "No.", offers: ["retry"] } as const;
  await show(message("a", "", { ...failed, offers: ["retry"] }), message("b", "", { ...failed, offers: ["retry"] }));
  expect(screen.getAllByTestId("retry").length).toBe(1);
});

test("an answer can be copied; the button confirms it", async () => {
  await show(message("a", "# Title\n\ntext"));
  await navigator.clipboard.writeText("");
  fireEvent.click(screen.getByLabelText("Copy answer"));
  await screen.findByLabelText("Copied");
  expect(await navigator.clipboard.readText()).toBe("# Title\n\ntext");
});

test("details say how many tokens, and that the text was verified", async () => {
  const { send } = await show(streaming("a", "", 0));
  send({ m: "a", s: 1, p: 0, o: 0, t: "ok" });
  const c = 0x79dcdd47; // of "ok"
  const usage = { input: 1, output: 2, cost_usd: 0.004217 };
  send({ k: "end", m: "a", s: 2, status: "finished", stop_reason: "stop", length: 2, c, usage });
  const details = screen.getByTestId<HTMLDetailsElement>("details");
  toggle(details, true);
  expect(details.textContent).toContain("verified");
  expect(screen.getByTestId("run-id").textContent).toBe("a");
  expect(details.textContent).toContain("1 token read");
  expect(details.textContent).toContain("2 tokens written");
  expect(details.textContent).toContain("cost $0.0042");
});

test("a cost of nothing is said, and one that is not known is not", async () => {
  const { send } = await show(streaming("a", "", 0), streaming("b", "", 0));
  const end = { k: "end", s: 2, status: "finished", stop_reason: "stop", length: 0, c: 0 } as const;
  send({ ...end, m: "a", usage: { input: 1, output: 2, cost_usd: 0 } });
  send({ ...end, m: "b", usage: { input: 1, output: 2 } });
  const [free, unknown] = screen.getAllByTestId<HTMLDetailsElement>("details");
  toggle(free as HTMLDetailsElement, true);
  toggle(unknown as HTMLDetailsElement, true);
  expect(free?.textContent).toContain("no cost");
  expect(unknown?.textContent).not.toContain("cost");
});

test("an answer says how fast it came, and its details show the stages in order", async () => {
  const { send } = await show(streaming("a", "", 0));
  send({ m: "a", s: 1, p: 0, o: 0, t: "ok" });
  expect(screen.queryByTestId("latency")).toBeNull();
  const times = { asked_ms: 12, connected_ms: 92, ttfb_ms: 300, ttft_ms: 420, ttlt_ms: 2_000, ttc_ms: 2_010 };
  const timing = {
    ...times,
    reasoning_ms: 0,
    tools_ms: 0,
    waited_ms: 0,
    stalls: 1,
    tokens: 2,
    tokens_per_second: 61.5,
  };
  send({ k: "end", m: "a", s: 2, status: "finished", stop_reason: "stop", length: 2, c: 0x79dcdd47, timing });
  const latency = screen.getByTestId("latency");
  expect(latency.textContent).toBe("Time to the first token: 0.42 s");
  expect(latency.dataset.ttfbMs).toBe("300");
  expect(latency.dataset.ttcMs).toBe("2010");
  const details = screen.getByTestId<HTMLDetailsElement>("details");
  toggle(details, true);
  const rows = [...details.querySelectorAll(".timeline li")].map((row) => row.textContent);
  expect(rows).toEqual([
    "Asked the provider12 ms",
    "Connected to it80 ms",
    "First byte (TTFB)208 ms",
    "First token (TTFT)120 ms",
    "Last token (TTLT)1,580 ms",
    "Complete (TTC)10 ms",
  ]);
  expect(details.textContent).toContain("2.01 s in all · 61.5 tokens/s · 1 stall over a second");
});

test("an answer whose times are not known says nothing of them", async () => {
  await show(message("a", "text"));
  expect(screen.queryByTestId("latency")).toBeNull();
});

test("screen readers hear the boundaries of an answer, not its pieces", async () => {
  const { send } = await show(streaming("a", "", 0));
  const heard = () => screen.getAllByRole("status").map((element) => element.textContent);
  send({ m: "a", s: 1, p: 0, o: 0, t: "ok" });
  expect(heard()).not.toContain("ok");
  send({ k: "end", m: "a", s: 2, status: "finished", stop_reason: "stop", length: 2, c: 0x79dcdd47 });
  expect(heard()).toContain("Complete, 1 word");
});

test("an answer that is not shown any more is not said to go on", async () => {
  const { send } = await show(message("q", "Hi", { role: "user" }), message("a", "Done"));
  const heard = () => screen.getAllByRole("status").map((element) => element.textContent);
  send({ k: "messages", messages: [streaming("b", "", 0)] });
  expect(heard()).toContain("Generating");
  send({ k: "drop", m: "b" });
  expect(heard()).not.toContain("Generating");
});

test("screen readers hear how many words came, also those that are not painted yet, and never of none", async () => {
  const { chat, send } = await show(streaming("a", "", 0), streaming("b", "", 0));
  const end = { k: "end", s: 2, status: "finished", stop_reason: "stop" } as const;
  // As in a hidden tab, where nothing is painted.
  act(() => {
    chat.store.feed({ m: "a", s: 1, p: 0, o: 0, t: "two words" });
    chat.store.feed({ ...end, m: "a", length: 9, c: crc32("two words") });
  });
  expect(screen.getByText("Complete, 2 words")).toBeTruthy();
  send({ ...end, m: "b", s: 1, length: 0, c: 0, why: "The answer is empty." });
  expect(screen.getAllByRole("status").map(({ textContent }) => textContent)).toContain("The answer is empty.");
});

test("screen readers hear the end of a first answer that was faster than its page", async () => {
  const { chat, send } = await show();
  const heard = () => screen.getAllByRole("status").map((element) => element.textContent);
  send(open([message("old", "before")]));
  expect(heard()).not.toContain("Complete, 1 word");
  act(() => chat.store.feed({ k: "sent", client_id: "x", n: 1 }));
  send(open([message("q", "Hi", { role: "user" }), message("a", "one two three")]));
  expect(heard()).toContain("Complete, 3 words");
});

test("the title of the tab says what waits or is ready", async () => {
  const { chat } = await show(message("a", "x"));
  expect(document.title).toBe("T · streamchat");
  act(() => chat.news.set("waiting"));
  expect(document.title).toBe("Needs you · T · streamchat");
  act(() => chat.news.set("ready"));
  expect(document.title).toBe("● T · streamchat");
});

const model = (id: string, label: string, unavailable = "") => ({ id, label, unavailable, note: "" });

test("an empty conversation names the models that are ready, how to add one, and four prompts", async () => {
  const { chat } = await show();
  expect(screen.getByTestId("ready-models").dataset.known).toBe("false");
  act(() => {
    chat.models.set([
      model("openai:gpt", "GPT", "set a key"),
      model("local:small", "Small"),
      model("simulator:tour", "T"),
    ]);
    chat.model.set("local:small");
  });
  expect(screen.getByText("Ready: Small and scripted ones to try things out.")).toBeTruthy();
  expect(screen.getByText("Add a model")).toBeTruthy();
  expect(screen.getAllByRole("button").map((button) => button.querySelector("strong")?.textContent)).toEqual([
    ...["See it stream", "Use a tool", "Watch it think", "Draw a diagram"],
  ]);
});

test("a built-in prompt is answered by its scripted scene, unless a real model is chosen; what does not exist says so", async () => {
  const { chat, send } = await show();
  const submit = mock((_text: string, _model?: string) => {});
  act(() => {
    chat.submit.set(submit);
    chat.models.set([model("openai:gpt", "GPT"), model("simulator:tour", "Tour")]);
    chat.model.set("simulator:tour");
  });
  fireEvent.click(screen.getByText("See it stream"));
  act(() => chat.model.set("openai:gpt"));
  fireEvent.click(screen.getByText("See it stream"));
  expect(submit.mock.calls.map(([, model]) => model)).toEqual(["simulator:tour", undefined]);
  send(open([], { missing: true }));
  expect(screen.getByText(/does not exist/)).toBeTruthy();
});

test("the operator's name and prompts replace the built-in ones", async () => {
  window.streamchat = {
    name: "Acme",
    suggestions: [
      { label: "Mine", text: "Ask" },
      { label: "x", text: "y", model: "no:such" },
    ],
  };
  try {
    await show();
    expect(screen.getByRole("heading", { name: "Acme" })).toBeTruthy();
    expect(screen.getAllByTestId("suggestion").map((button) => button.textContent)).toEqual(["MineAsk"]);
    expect(document.title).toEndWith("Acme");
  } finally {
    delete window.streamchat;
  }
});

test("model text is Markdown, a person's text is not", async () => {
  await show(message("q", "**no**", { role: "user" }), message("a", "**yes** <b>no</b>"));
  expect(screen.getByText("yes").tagName).toBe("STRONG");
  expect(screen.getByText("**no**")).toBeTruthy();
  expect(document.querySelector("b")).toBeNull();
});

test("reasoning is behind a panel that is closed, and is remembered when it was opened", async () => {
  const parts = [{ type: "reasoning", text: "hm" } as const, { type: "text", text: "So" } as const];
  const first = await show(message("a", "So", { parts }));
  const panel = () => screen.getByText("Thought").closest("details") as HTMLDetailsElement;
  expect(panel().open).toBe(false);
  // The browser's search finds it, and opens the panel for this time only.
  expect(await screen.findByText("hm")).toBeTruthy();
  find(panel());
  expect(panel().open).toBe(true);
  first.unmount();
  const second = await show(message("a", "So", { parts }));
  expect(panel().open).toBe(false);
  toggle(panel(), true);
  second.unmount();
  await show(message("a", "So", { parts }));
  expect(panel().open).toBe(true);
});

test("reasoning says for how long it goes on, and for how long it went on, also after a reload", async () => {
  setSystemTime(new Date(2025, 5, 3));
  try {
    const { send } = await show(streaming("a", "", 0));
    send({ m: "a", s: 1, p: 0, o: 0, t: "hm", y: "reasoning" });
    expect(screen.getByText("Thinking…")).toBeTruthy();
    setSystemTime(new Date(2025, 5, 3, 0, 0, 12));
    send({ m: "a", s: 2, p: 0, o: 2, t: " hm", y: "reasoning" });
    expect(screen.getByText("Thinking… 12 s")).toBeTruthy();
    send({ m: "a", s: 3, p: 1, o: 0, t: "So" });
    expect(screen.getByText("Thought for 12 s")).toBeTruthy();
  } finally {
    setSystemTime();
  }
  const parts = [{ type: "reasoning", text: "hm" } as const, { type: "text", text: "So" } as const];
  const timing = { reasoning_ms: 64_200, tools_ms: 0, waited_ms: 0, stalls: 0, tokens: 2 };
  await show(message("b", "So", { parts, timing }));
  expect(screen.getByText("Thought for 1 min 4 s")).toBeTruthy();
});

test("the seconds of a silent model go on after a reload", async () => {
  setSystemTime(new Date(2025, 5, 3));
  try {
    const first = await show(streaming("a", "", 0));
    const stored = sessionStorage.getItem("streamchat.started.a") as string;
    first.unmount();
    sessionStorage.setItem("streamchat.started.a", stored); // no effect is undone by a reload
    setSystemTime(new Date(2025, 5, 3, 0, 0, 24));
    await show(streaming("a", "", 0));
    expect(document.querySelector(".elapsed")?.textContent).toBe("24 s");
  } finally {
    setSystemTime();
    sessionStorage.clear();
  }
});

test("answers side by side: a column each, named by its model; one is stopped, one is kept", async () => {
  const calls: string[] = [];
  globalThis.fetch = (async (url: string, { method = "GET" } = {}) => {
    calls.push(`${method} ${url}`);
    return Response.json({});
  }) as unknown as typeof fetch;
  const question = message("q", "Which?", { role: "user" });
  const both = [streaming("a", "One", 1, { model: "x:a" }), message("b", "Two", { model: "x:b" })];
  const { send, chat } = await show(question, ...both);
  act(() => chat.models.set([{ id: "x:a", label: "Model A", unavailable: "", note: "" }]));
  send(open([question, ...both], { compared: ["a", "b"] }));
  const columns = () => screen.getAllByTestId("compared-answer");
  expect(columns().map((column) => column.querySelector("h3")?.textContent)).toEqual(["Model A", "x:b"]);
  send({ m: "a", s: 2, p: 0, o: 3, t: " more" });
  expect(answers()).toEqual(["One more", "Two"]);
  expect(screen.queryByTestId("branch")).toBe(null);
  const [first, second] = screen.getAllByTestId("compared-switch");
  fireEvent.click(second);
  expect(columns().map((column) => column.dataset.shown)).toEqual(["false", "true"]);
  expect([first, second].map((button) => button.getAttribute("aria-pressed"))).toEqual(["false", "true"]);
  fireEvent.click(screen.getByTestId("stop-one"));
  fireEvent.click(screen.getAllByTestId("keep")[1]);
  await waitFor(() => expect(calls).toEqual(["DELETE /api/runs/a", "POST /api/messages/b/select"]));
  // A question from elsewhere arrives before it is known that the comparison is over: nothing is shown twice.
  send({ k: "messages", messages: [message("q2", "Next?", { role: "user" })] });
  const shown = () => screen.getAllByTestId("message").map((element) => element.dataset.messageId);
  expect(shown()).toEqual(["q", "a", "b", "q2"]);
  send({ k: "drop", m: "q2" });
  send({ k: "drop", m: "a" });
  expect(shown()).toEqual(["q", "b"]);
  expect(screen.queryByTestId("compared")).toBe(null);
  expect(answers()).toEqual(["Two"]);
});

test("sources are numbered in the text and in the list, the same address once; what is copied has no marks", async () => {
  const source = (url: string) => ({ type: "source" as const, url, title: url });
  const text = (value: string) => ({ type: "text" as const, text: value });
  const parts = [
    ...[text("Owls fly"), source("https://a.example/"), text(" at **night"), source("https://b.example/")],
    ...[text("** and by day"), source("https://a.example/"), text(".")],
  ];
  const { container, chat } = await show(message("q", "Hi", { role: "user" }), message("a", "", { parts }));
  const marks = [...container.querySelectorAll(".answer .source-mark a")];
  expect(marks.map((mark) => mark.textContent)).toEqual(["[1]", "[2]", "[1]"]);
  expect(container.querySelector(".answer")?.textContent).toBe("Owls fly[1] at night[2] and by day[1].");
  expect([...container.querySelectorAll(".sources li")].map((item) => item.textContent)).toEqual([
    "https://a.example/",
    "https://b.example/",
  ]);
  fireEvent.click(marks[1]);
  expect(document.activeElement?.textContent).toBe("https://b.example/");
  expect(textOf(chat.store.message("a") as MessageView)).toBe("Owls fly at **night** and by day.");
});

test("a source that is named within code, an address or a formula leaves no trace there", async () => {
  const source = { type: "source" as const, url: "https://a.example/", title: "A" };
  const cited = async (before: string, after = "") => {
    const parts = [{ type: "text" as const, text: before }, source, { type: "text" as const, text: after }];
    const { container } = await show(message("q", "Hi", { role: "user" }), message("a", "", { parts }));
    const answer = container.querySelector(".answer") as HTMLElement;
    const [text, links] = [answer.textContent, [...answer.querySelectorAll("a")].map((link) => link.href)];
    cleanup();
    return { text, links };
  };
  expect((await cited("```text\nabc", "def\n```")).text).toContain("abcdef");
  expect((await cited("- ```text\n  abc", "def\n  ```")).text).toContain("abcdef");
  expect((await cited("Type `abc", "def`.")).text).toBe("Type abcdef.");
  expect((await cited("So $x + ", "1$ holds.")).text).not.toMatch(/[\udc00-\udfff]|\[1\]/);
  const here = new URL("#source-1", location.href).href;
  expect(await cited("See https://b.example/c", " there.")).toEqual({
    text: "See https://b.example/c[1] there.",
    links: ["https://b.example/c", here],
  });
  expect(await cited("See [the *pa", "ge*](https://b.example/c).")).toEqual({
    text: "See the page[1].",
    links: ["https://b.example/c", here],
  });
});

test("characters of private use that a model writes stay, in code and in text", async () => {
  const private_ = "\uf8f01\uf8f1";
  const texts = [`\`\`\`text\n${private_}\n\`\`\``, `Type \`${private_}\`.`, `In words ${private_}.`];
  for (const text of texts) {
    const { container, chat } = await show(message("q", "Hi", { role: "user" }), message("a", text));
    expect(container.querySelector(".answer")?.textContent).toContain(private_);
    expect(container.querySelector(".source-mark")).toBe(null);
    expect(textOf(chat.store.message("a") as MessageView)).toBe(text);
    cleanup();
  }
});

test("an answer is rated with a reason, also at once and after another rating; what another tab says is shown", async () => {
  const asked: [string, string, unknown][] = [];
  globalThis.fetch = (async (url: string, init: RequestInit) => {
    asked.push([String(init.method), new URL(url, location.href).pathname, init.body && JSON.parse(String(init.body))]);
    return Response.json({});
  }) as unknown as typeof fetch;
  const { send } = await show(message("q", "Hi", { role: "user" }), message("a", "Yes"));
  const [up, down] = ["feedback-up", "feedback-down"].map((id) => screen.getByTestId(id));
  fireEvent.click(down);
  send({ k: "feedback", m: "a", feedback: { rating: "down" }, n: 1 });
  expect(down.getAttribute("aria-pressed")).toBe("true");
  fireEvent.change(screen.getByTestId("feedback-reason"), { target: { value: "Too short" } });
  fireEvent.click(screen.getByTestId("feedback-send"));
  send({ k: "feedback", m: "a", feedback: null, n: 2 });
  expect([up, down].map((button) => button.getAttribute("aria-pressed"))).toEqual(["false", "false"]);
  // The server has not told of the new rating when its reason is sent.
  send({ k: "feedback", m: "a", feedback: { rating: "up", reason: "Nice" }, n: 3 });
  fireEvent.click(down);
  expect((screen.getByTestId("feedback-reason") as HTMLInputElement).value).toBe("");
  fireEvent.change(screen.getByTestId("feedback-reason"), { target: { value: "Wrong" } });
  fireEvent.click(screen.getByTestId("feedback-send"));
  const rated = asked.filter(([, path]) => path.endsWith("/feedback"));
  expect(rated).toEqual([
    ["POST", "/api/messages/a/feedback", { rating: "down" }],
    ["POST", "/api/messages/a/feedback", { rating: "down", reason: "Too short" }],
    ["POST", "/api/messages/a/feedback", { rating: "down" }],
    ["POST", "/api/messages/a/feedback", { rating: "down", reason: "Wrong" }],
  ]);
});

test("an empty page renders a first message where nobody finds it, and a first message is as it should be after that", async () => {
  // When an answer was first seen is kept as long as it waits for its first word.
  const kept = spyOn(visit, "set");
  const appeared: string[] = [];
  const watching = new MutationObserver((records) => {
    for (const { addedNodes } of records) for (const node of addedNodes) appeared.push(node.textContent ?? "");
  });
  try {
    const about = { conversation: null, title: "", earlier: false, missing: false };
    const { send, container, chat } = await showOpen({ k: "open", g: 1, messages: [], ...about }, "/");
    chat.askedIn.set(visitNow());
    const spoken = () => screen.getAllByRole("status").map((element) => element.textContent);
    const before = spoken();
    watching.observe(document, { subtree: true, childList: true, characterData: true });
    const rendered = () => kept.mock.calls.filter(([name]) => name.includes("warm-up")).map(([, value]) => value);
    await waitFor(() => expect(rendered()).toEqual([expect.any(Number), null]), { timeout: 30_000 });
    expect(appeared.filter((text) => /Hi|Hello/.test(text))).toEqual([]);
    expect(container.querySelector("[data-message-id], .message")).toBeNull();
    expect(spoken()).toEqual(before);
    send(open([message("q", "First", { role: "user" }), streaming("a", "One", 1)], { begun: true }));
    await waitFor(() => expect(answers()).toEqual(["One"]));
    expect(screen.getAllByTestId("message")).toHaveLength(2);
  } finally {
    watching.disconnect();
    kept.mockRestore();
  }
}, 60_000);

test("an action on a message is one request until it is done, and then another one", () => {
  const { chat, feed } = renderChat(null);
  const retry = () => chat.requestId("retry", "a");
  feed(open([message("a", "x")]));
  const first = retry();
  feed(open([message("a", "x")])); // the connection was lost
  expect(retry()).toBe(first);
  // Another version takes its place, is deleted, and the first is shown again.
  feed(open([message("b", "y")]));
  feed(open([message("a", "x")]));
  const second = retry();
  expect(second).not.toBe(first);
  feed({ k: "messages", messages: [streaming("a", "x", 1)], n: 1 });
  expect(retry()).toBe(second);
  feed({ k: "end", m: "a", s: 2, status: "stopped", stop_reason: null, length: 1, c: crc32("x") });
  expect(retry()).not.toBe(second);
});
