import { afterEach, expect, test } from "bun:test";
import { waitFor } from "@testing-library/dom";
// @ts-expect-error: plain JavaScript without declarations
import { markdown } from "../../assets/stream-chat.js";

// A server that answers as it is told: each start by the next of `starts`, conversations by a stream that stays open.
type Answer = Response | Promise<Response>;
const original = globalThis.fetch;
afterEach(() => {
  document.body.replaceChildren();
  globalThis.fetch = original;
});

function serve({ starts = [], stored = "" }: { starts?: (() => Answer)[]; stored?: string } = {}) {
  const requests: string[] = [];
  const bodies: { message: string; client_message_id: string; conversation_id?: string }[] = [];
  const streams: ReadableStreamDefaultController<Uint8Array>[] = [];
  globalThis.fetch = (async (address: string, { method = "GET", body }: RequestInit = {}) => {
    const path = address.replace(/^http:\/\/server|\?.*/g, "");
    requests.push(`${method} ${path}`);
    if (method === "POST") {
      bodies.push(JSON.parse(body as string));
      return (starts.shift() ?? started)();
    }
    if (!path.endsWith("/events")) return Response.json({ conversations: [], next: null });
    const answer = new ReadableStream({
      start(stream) {
        streams.push(stream);
        stream.enqueue(new TextEncoder().encode(stored));
      },
    });
    return new Response(answer);
  }) as typeof fetch;
  const tell = (text: string) => streams[streams.length - 1].enqueue(new TextEncoder().encode(text));
  const lists = () => requests.filter((request) => request === "GET /api/conversations").length;
  return { bodies, lists, requests, tell };
}

const started = () => Response.json({ run_id: "a", conversation_id: "A" }, { status: 201 });
const refused = (message: string, status: number, headers = {}) =>
  Response.json({ error: { message, kind: "k" } }, { status, headers });

// Resolves with the answer of a request once `release` is called.
function held(answer: () => Response) {
  const { promise, resolve } = Promise.withResolvers<Response>();
  return { answer: () => promise, release: () => resolve(answer()) };
}

function element(attributes: Record<string, string> = {}) {
  const node = document.createElement("stream-chat");
  for (const [name, value] of Object.entries({ url: "http://server", ...attributes })) node.setAttribute(name, value);
  const ended: string[] = [];
  node.addEventListener("ended", (event) => ended.push((event as CustomEvent).detail.id));
  document.body.append(node);
  const root = node.shadowRoot as ShadowRoot;
  const box = root.querySelector("textarea") as HTMLTextAreaElement;
  const button = root.querySelector("[part=send]") as HTMLButtonElement;
  const status = () => root.querySelector("[role=status]")?.textContent;
  const submit = (text: string) => {
    box.value = text;
    root.querySelector("form")?.dispatchEvent(new Event("submit", { cancelable: true }));
  };
  const open = (id: string) => (node as unknown as { open(id: string): void }).open(id);
  const answers = () => root.querySelectorAll("[data-role=assistant]").length;
  return { node, ended, box, button, status, submit, open, answers };
}

const sse = (type: string, event: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...event })}\n\n`;
const question = (id: string, parent: string | null = null) =>
  sse("message", { role: "user", parent_id: parent, message: { id, parts: [{ type: "text", text: "?" }] } });
const begun = (id: string, parent: string) => sse("message", { role: "assistant", parent_id: parent, run_id: id });
const whole = (id: string, parent: string) =>
  begun(id, parent) +
  sse("snapshot", { run_id: id, seq: 2, message: { parts: [{ type: "text", text: "!" }], status: "finished" } }) +
  sse("finished", { run_id: id, seq: 2 });
const HISTORY = question("q1") + whole("a1", "q1") + question("q2", "a1") + whole("a2", "q2");

test("answers that had ended are no news, those that end here are", async () => {
  const server = serve({ stored: HISTORY });
  const chat = element({ conversation: "A", history: "" });
  await waitFor(() => expect(chat.answers()).toBe(2));
  expect([chat.ended, server.lists()]).toEqual([[], 1]);
  server.tell(question("q3", "a2") + begun("a3", "q3") + sse("text-delta", { run_id: "a3", seq: 1, text: "!" }));
  server.tell(sse("finished", { run_id: "a3", seq: 2 }));
  server.tell(question("q4", "a3") + begun("a4", "q4") + sse("failed", { run_id: "a4", seq: 1, message: "No." }));
  await waitFor(() => expect(chat.ended).toEqual(["a3", "a4"]));
  expect(server.lists()).toBe(3);
});

test("an answer that was asked for here is news also if it comes whole, before or after its start is confirmed", async () => {
  const late = held(started);
  const server = serve({ stored: HISTORY, starts: [started, late.answer] });
  const chat = element({ conversation: "A" });
  await waitFor(() => expect(chat.answers()).toBe(2));
  chat.submit("?");
  await waitFor(() => expect(chat.box.value).toBe(""));
  server.tell(question("q", "a2") + whole("a", "q"));
  await waitFor(() => expect(chat.ended).toEqual(["a"]));
  chat.open("A");
  await waitFor(() => expect(chat.answers()).toBe(2));
  chat.submit("?");
  server.tell(question("q", "a2") + whole("a", "q"));
  await waitFor(() => expect(chat.answers()).toBe(3));
  expect(chat.ended).toEqual(["a"]);
  late.release();
  await waitFor(() => expect(chat.ended).toEqual(["a", "a"]));
});

test("New chat stays, also if a question is taken in the conversation that was left", async () => {
  for (const before of ["A", ""]) {
    const late = held(started);
    serve({ starts: [late.answer] });
    const chat = element(before ? { conversation: before } : {});
    chat.submit("a question");
    chat.open("");
    late.release();
    await waitFor(() => expect(chat.box.value).toBe(""));
    expect(chat.node.getAttribute("conversation")).toBe(null);
    chat.node.remove();
  }
});

test("a new conversation is shown, also if the element is moved or gets another token while it begins", async () => {
  const late = held(started);
  serve({ starts: [late.answer] });
  const chat = element();
  chat.submit("a question");
  document.body.append(chat.node);
  chat.node.setAttribute("token", "sck_2");
  late.release();
  await waitFor(() => expect(chat.node.getAttribute("conversation")).toBe("A"));
});

test("a question stays in the box until it is taken, and what is typed meanwhile is kept", async () => {
  const late = held(started);
  const no = held(() => refused("No such model.", 422));
  serve({ starts: [late.answer, no.answer] });
  const chat = element({ conversation: "A" });
  chat.submit("first");
  expect(chat.box.value).toBe("first");
  await waitFor(() => expect(chat.status()).toBe("Sending"));
  chat.box.value = "first and more";
  late.release();
  await waitFor(() => expect(chat.box.value).toBe("and more"));
  chat.submit("second");
  chat.box.value = "third";
  no.release();
  await waitFor(() => expect(chat.status()).toBe("No such model."));
  expect(chat.box.value).toBe("second\n\nthird");
});

test("a limit that lasts is said at once", async () => {
  const server = serve({ starts: [() => refused("That is all for today.", 429, { "Retry-After": "3600" })] });
  const chat = element({ conversation: "A" });
  chat.submit("a question");
  await waitFor(() => expect(chat.status()).toBe("That is all for today."));
  expect([chat.button.disabled, chat.box.value, server.bodies.length]).toEqual([false, "a question", 1]);
});

test("what is sent again after a failure is the same message, as it may have arrived", async () => {
  const server = serve({ starts: [() => refused("Gone.", 410), () => refused("Gone.", 410)] });
  const chat = element({ conversation: "A" });
  for (const text of ["one", "one", "two", "two"]) {
    const sent = server.bodies.length + 1;
    chat.submit(text);
    await waitFor(() => expect([server.bodies.length, chat.button.disabled]).toEqual([sent, false]));
  }
  const ids = server.bodies.map((body) => body.client_message_id);
  expect([ids[1], new Set(ids).size]).toEqual([ids[0], 3]);
});

const html = (text: string) => {
  const host = document.createElement("div");
  host.append(...markdown(text));
  return host.innerHTML;
};

test("links are found in linear time", () => {
  for (const text of ["[", "[](", "[a](b", "`", "*", "**", "![", "[]"]) {
    const long = text.repeat(400_000);
    expect(html(`x${long}`).length).toBeGreaterThan(400_000);
  }
  const link = (address: string, label: string) =>
    `<a href="${address}" rel="noopener noreferrer nofollow" target="_blank">${label}</a>`;
  expect(html("[x](https://y/?a[0]=1) [a [b](http://c) [d]](e) [f]( https://g)")).toBe(
    `<p>${link("https://y/?a[0]=1", "x")} [a ${link("http://c", "b")} [d]](e) [f]( https://g)\n</p>`,
  );
});
