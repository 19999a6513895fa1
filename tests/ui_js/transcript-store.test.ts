import { expect, test } from "bun:test";

import { crc32 } from "../../assets/chat/store/checksum";
import type { NoticePart, Part, ToolCallPart, ToolChanges } from "../../assets/chat/store/frames";
import { TranscriptStore } from "../../assets/chat/store/transcript-store";
import { asCall, asText, message, open, opened, streaming, textIn, viewOf } from "./messages";

const call = (state: ToolCallPart["state"], args: ToolCallPart["arguments"] = {}): ToolCallPart => ({
  type: "tool_call",
  id: "t",
  name: "f",
  state,
  arguments: args,
});
const ONE = crc32("one");
const notice: NoticePart = { type: "notice", kind: "continued", text: "Continued." };

test("nothing is believed before the transcript was sent, and again after the connection was lost", () => {
  const store = new TranscriptStore();
  store.feed({});
  store.feed({ k: "messages", messages: [message("a", "hi")] });
  expect(store.meta().ids).toEqual([]);
  store.feed(open([streaming("a", "x", 1)], { conversation: null }));
  store.disconnected();
  store.feed({ m: "a", s: 2, p: 0, o: 1, t: "y" });
  expect(textIn(store, "a")).toBe("x");
});

test("a message that is listed can be rendered, also before the next flush", () => {
  const { store } = opened(streaming("b", "two", 1));
  store.feed({ k: "earlier", messages: [message("a", "one")], earlier: false, n: 1 });
  expect(store.meta().ids).toEqual(["a", "b"]);
  expect(store.meta().ids.map((id) => store.message(id)?.id)).toEqual(["a", "b"]);
});

test("pieces are appended at their offset, counted in UTF-16 code units", () => {
  const { store, resyncs, clock } = opened(streaming("a", "👍", 3));
  store.feed({ m: "a", s: 4, p: 0, o: 2, t: "漢" });
  store.feed({ m: "a", s: 5, p: 0, o: 3, t: " ok" });
  expect(textIn(store, "a")).toBe("👍漢 ok");
  clock.pass(5000);
  expect(resyncs).toEqual([]);
});

test("a piece without a place continues the one before, also if it says the same", () => {
  const { store, resyncs, clock } = opened(streaming("a", "one", 3));
  store.feed({ m: "a", s: 4, p: 0, o: 3, t: " na" });
  for (let i = 0; i < 3; i++) store.feed({ m: "a", t: " na" });
  store.feed({ m: "a", s: 8, p: 1, o: 0, t: "hm", y: "reasoning" });
  store.feed({ m: "a", t: "m" });
  store.feed({ m: "a", s: 10, p: 1, o: 3, t: "!", y: "reasoning", c: crc32("one na na na na") });
  clock.pass(5000);
  expect(textIn(store, "a")).toBe("one na na na na");
  expect(asText(viewOf(store, "a").parts[1]).splitter.text).toBe("hmm!");
  expect(resyncs).toEqual([]);
});

test("a piece without a place that continues nothing is a gap, and a lost one shows with the next place", () => {
  for (const lost of [true, false]) {
    const { store, resyncs, clock } = opened(streaming("a", "one", 3));
    if (lost) {
      store.feed({ m: "a", s: 4, p: 0, o: 3, t: " two" });
      store.feed({ m: "a", s: 6, p: 0, o: 13, t: " four" });
    } else {
      store.feed({ m: "a", t: " two" });
    }
    clock.pass(1000);
    expect(resyncs.length).toBe(1);
    expect(textIn(store, "a")).toBe(lost ? "one two" : "one");
  }
});

test("a replayed piece changes nothing", () => {
  const { store } = opened(streaming("a", "one", 3));
  store.feed({ m: "a", s: 4, p: 0, o: 3, t: " two" });
  store.feed({ m: "a", s: 4, p: 0, o: 3, t: " two" });
  store.feed({ m: "a", s: 3, p: 0, o: 0, t: "one" });
  expect(textIn(store, "a")).toBe("one two");
  expect(store.stats.replays).toBe(2);
});

test("a gap asks for the transcript once a second at most, and takes no pieces until it came", () => {
  const { store, clock, resyncs } = opened(streaming("a", "one", 1));
  store.feed({ m: "a", s: 3, p: 0, o: 9, t: "three" });
  store.feed({ m: "a", s: 4, p: 0, o: 3, t: "wrong" });
  clock.pass(200);
  expect(resyncs.length).toBe(1);
  store.feed({ m: "unknown", s: 1, p: 0, o: 0, t: "x" });
  clock.pass(500);
  expect(resyncs.length).toBe(1);
  clock.pass(500);
  expect(resyncs.length).toBe(2);
  expect(textIn(store, "a")).toBe("one");
  store.feed(open([streaming("a", "one two three", 3)]));
  store.feed({ m: "a", s: 4, p: 0, o: 13, t: "!" });
  expect(textIn(store, "a")).toBe("one two three!");
});

test("a transcript that comes by itself saves the asking", () => {
  const { store, clock, resyncs } = opened(streaming("a", "one", 1));
  store.feed({ m: "a", s: 3, p: 0, o: 9, t: "three" });
  store.feed(open([streaming("a", "one", 1)]));
  clock.pass(5000);
  expect(resyncs).toEqual([]);
});

test("a new part begins one past the last; reasoning is no part of the text", () => {
  const { store } = opened(streaming("a"));
  store.feed({ m: "a", s: 1, p: 0, o: 0, t: "hm", y: "reasoning" });
  store.feed({ m: "a", s: 2, p: 0, o: 2, t: "m", y: "reasoning" });
  store.feed({ m: "a", s: 3, p: 1, o: 0, t: "Answer" });
  store.feed({ k: "part", m: "a", s: 4, p: 2, part: call("receiving", null) });
  store.feed({ k: "part", m: "a", s: 5, p: 2, part: call("ready", { x: 1 }) });
  store.feed({ m: "a", s: 6, p: 3, o: 0, t: " more" });
  expect(textIn(store, "a")).toBe("Answer more");
  expect(viewOf(store, "a").parts.map((part) => part.type)).toEqual(["reasoning", "text", "tool_call", "text"]);
  expect(asCall(viewOf(store, "a").parts[2]).state).toBe("ready");
});

test("the end brings the status; a length that is not ours asks again", () => {
  const { store, clock, resyncs } = opened(streaming("a", "one", 1), streaming("b", "one", 1));
  expect(store.meta().answering).toBe(true);
  store.feed({
    k: "end",
    m: "a",
    s: 2,
    status: "failed",
    stop_reason: null,
    error: { message: "No.", kind: "x" },
    length: 3,
    c: ONE,
  });
  store.flush();
  expect(store.message("a")).toMatchObject({ status: "failed", running: false, error: { message: "No." } });
  expect(store.meta().answering).toBe(true);
  store.feed({ k: "end", m: "b", s: 2, status: "finished", stop_reason: "stop", length: 4, c: ONE });
  clock.pass(1000);
  expect(resyncs.length).toBe(1);
  store.flush();
  expect(viewOf(store, "b").status).toBe("streaming");
});

test("only what changed is told, and once per flush", () => {
  const { store } = opened(message("a", "old"), streaming("b", "", 0));
  const told: string[] = [];
  for (const key of ["meta", "a", "b"]) store.subscribe(key, () => told.push(key));
  const before = store.message("a");
  for (let i = 0; i < 100; i += 1) store.feed({ m: "b", s: i + 1, p: 0, o: i, t: "x" });
  expect(told).toEqual([]);
  store.flush();
  expect(told).toEqual(["b"]);
  expect(store.message("a")).toBe(before);
});

test("the same message again keeps its blocks", () => {
  const { store } = opened(streaming("a", "# One\n\nTwo\n\nThr", 5));
  const { splitter } = asText(viewOf(store, "a").parts[0]);
  const [block] = splitter.closed;
  store.feed(open([message("a", "# One\n\nTwo\n\nThree", { seq: 9 })]));
  store.flush();
  expect(viewOf(store, "a").parts[0].splitter).toBe(splitter);
  expect(splitter.closed[0]).toBe(block);
  expect(textIn(store, "a")).toBe("# One\n\nTwo\n\nThree");
  store.feed({ k: "messages", messages: [message("a", "Other", { seq: 10 })] });
  expect(textIn(store, "a")).toBe("Other");
});

test("line ends of any kind survive a second transcript", () => {
  const { store } = opened(streaming("a", "a\r\nb\r", 1));
  store.feed({ k: "messages", messages: [streaming("a", "a\r\nb\r\nc", 2)] });
  expect(textIn(store, "a")).toBe("a\nb\nc");
  store.feed({ m: "a", s: 3, p: 0, o: 7, t: "\rd" });
  expect(textIn(store, "a")).toBe("a\nb\nc\nd");
});

test("messages are added at the end, dropped, and put before", () => {
  const { store } = opened(message("b", "2"));
  store.feed({ k: "messages", messages: [message("c", "3"), message("d", "4"), message("b", "2")] });
  store.feed({ k: "earlier", messages: [message("a", "1"), message("b", "again")], earlier: true, n: 1 });
  expect(store.meta()).toMatchObject({ ids: ["a", "b", "c", "d"], earlier: true });
  store.feed({ k: "drop", m: "c" });
  store.flush();
  expect(store.meta().ids).toEqual(["a", "b", "d"]);
  expect(store.message("c")).toBeUndefined();
});

test("sent and say are told at once, also before the transcript came", () => {
  const store = new TranscriptStore();
  const told: string[] = [];
  store.onFrame((frame) => told.push(frame.k));
  store.feed({ k: "sent", client_id: "x", n: 1 });
  store.feed({ k: "say", text: "No.", n: 2 });
  expect(told).toEqual(["sent", "say"]);
});

test("a conversation that does not exist says so", () => {
  const { store } = opened(message("a", "1"));
  store.feed(open([], { conversation: "x", missing: true }));
  expect(store.meta()).toMatchObject({ missing: true, ids: [] });
});

test("a text goes on after a notice as if there was none, and offsets count within each part", () => {
  const parts: Part[] = [{ type: "text", text: "- one\n- t" }, notice, { type: "text", text: "wo" }];
  const { store, resyncs, clock } = opened(streaming("a", "- one\n- two", 3, { parts }));
  store.feed({ m: "a", s: 4, p: 2, o: 2, t: "\n- three" });
  expect(textIn(store, "a")).toBe("- one\n- two\n- three");
  const shown = viewOf(store, "a").parts;
  expect(shown.map((part) => [part.type, part.index])).toEqual([
    ["text", 0],
    ["notice", 1],
  ]);
  expect(asText(shown[0]).open).toBe(true);
  store.feed({ k: "part", m: "a", s: 5, p: 3, part: notice });
  store.feed({ m: "a", s: 6, p: 4, o: 0, t: "!" });
  expect(textIn(store, "a")).toBe("- one\n- two\n- three!");
  store.feed({
    k: "end",
    m: "a",
    s: 7,
    status: "finished",
    stop_reason: "stop",
    length: 20,
    c: crc32("- one\n- two\n- three!"),
  });
  clock.pass(5000);
  expect(resyncs).toEqual([]);
  expect(viewOf(store, "a").parts[1]).toMatchObject(notice);
});

test("a text after a tool call is another one, and a piece for an earlier part shows a gap", () => {
  const parts: Part[] = [{ type: "text", text: "a" }, call("done"), { type: "text", text: "b" }];
  const { store, resyncs, clock } = opened(streaming("a", "", 3, { parts }));
  expect(viewOf(store, "a").parts.map((part) => part.type)).toEqual(["text", "tool_call", "text"]);
  store.feed({ m: "a", s: 4, p: 0, o: 1, t: "x" });
  clock.pass(1000);
  expect(resyncs.length).toBe(1);
});

test("a whole message with a seam keeps the blocks that are there", () => {
  const { store } = opened(streaming("a", "# One\n\ntw", 3));
  const { splitter } = asText(viewOf(store, "a").parts[0]);
  const parts: Part[] = [{ type: "text", text: "# One\n\ntw" }, notice, { type: "text", text: "o\n\nthree" }];
  store.feed({ k: "messages", messages: [streaming("a", "", 9, { parts })] });
  expect(textIn(store, "a")).toBe("# One\n\ntwo\n\nthree");
  expect(viewOf(store, "a").parts[0].splitter).toBe(splitter);
});

test("what did not change is not painted again", () => {
  const { store } = opened(streaming("a", "", 3, { parts: [notice, { type: "text", text: "b" }] }));
  const before = viewOf(store, "a").parts;
  store.feed({ m: "a", s: 4, p: 1, o: 1, t: "c" });
  store.flush();
  const after = viewOf(store, "a").parts;
  expect(after[0].part).toBe(before[0].part);
  expect(asText(after[1]).version).not.toBe(asText(before[1]).version);
});

test("what changed of a tool call is put into it, and the message's status with it", () => {
  const { store } = opened(streaming("a", "x", 3));
  const statuses: unknown[] = [];
  store.onFrame((frame) => statuses.push("status" in frame && frame.status));
  store.feed({ k: "part", m: "a", s: 4, p: 1, part: call("receiving", null) });
  store.feed({ k: "patch", m: "a", s: 5, set: { 1: { fields: { city: "Li" } } } });
  store.flush();
  const before = asCall(viewOf(store, "a").parts[1]);
  expect(before.fields).toEqual({ city: "Li" });
  store.feed({
    k: "patch",
    m: "a",
    s: 6,
    status: "waiting",
    set: { 1: { fields: null, arguments: { city: "Lima" }, state: "awaiting-approval" } },
  });
  store.flush();
  const after = asCall(viewOf(store, "a").parts[1]);
  expect([after.state, after.arguments, "fields" in after, before.state]).toEqual([
    "awaiting-approval",
    { city: "Lima" },
    false,
    "receiving",
  ]);
  expect([viewOf(store, "a").status, store.meta().answering, statuses]).toEqual(["waiting", true, ["waiting"]]);
  store.feed({
    k: "end",
    m: "a",
    s: 7,
    status: "stopped",
    stop_reason: null,
    length: 1,
    c: crc32("x"),
    set: { 1: { state: "stopped" } },
  });
  store.flush();
  expect(asCall(viewOf(store, "a").parts[1]).state).toBe("stopped");
});

test("a change of a part that is not there is a gap", () => {
  const changes: ToolChanges[] = [{ 0: { state: "done" } }, { 7: { state: "done" } }];
  for (const set of changes) {
    const { store } = opened(streaming("a", "x", 3));
    store.feed({ k: "patch", m: "a", s: 4, set });
    expect(store.stats.gaps).toBe(1);
  }
});

test("a text that a tool call or a thought follows is whole at once", () => {
  const { store } = opened(
    streaming("a", "Let me look.", 3),
    streaming("b", "", 0, { parts: [{ type: "text", text: "One." }, call("running")] }),
  );
  store.feed({ k: "part", m: "a", s: 4, p: 1, part: call("running") });
  store.flush();
  for (const id of ["a", "b"]) expect(asText(viewOf(store, id).parts[0]).splitter.closed.length).toBe(1);
  store.feed({ m: "a", s: 5, p: 2, o: 0, t: "hm", y: "reasoning" });
  store.feed({ m: "a", s: 6, p: 3, o: 0, t: "So" });
  store.flush();
  const [thought, text] = viewOf(store, "a").parts.slice(2).map(asText);
  expect([thought.splitter.ended, text.splitter.ended, text.open]).toEqual([true, false, true]);
});

test("answers stand side by side while several of them are there", () => {
  const store = new TranscriptStore();
  const [q, a, b] = [message("q", "which?", { role: "user" }), streaming("a"), streaming("b")];
  store.feed(open([q]));
  const about = { k: "about", title: "T", model: "m", settings: {} } as const;
  store.feed({ ...about, compared: ["a", "b"], n: 1 });
  store.feed({ k: "messages", messages: [a] });
  expect(store.meta().compared).toEqual([]);
  store.feed({ k: "messages", messages: [b] });
  expect(store.meta().compared).toEqual(["a", "b"]);
  store.feed({ m: "b", s: 1, p: 0, o: 0, t: "by b" });
  expect(textIn(store, "b")).toBe("by b");
  expect(store.meta().answering).toBe(true);
  store.feed({ k: "drop", m: "a" });
  store.feed({ ...about, n: 2 });
  expect(store.meta().compared).toEqual([]);
  store.feed(open([q, a, b], { compared: ["a", "b"] }));
  expect(store.meta().compared).toEqual(["a", "b"]);
  store.feed(open([q, a]));
  expect(store.meta().compared).toEqual([]);
});
