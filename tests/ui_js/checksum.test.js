import { expect, test } from "bun:test";

import { crc32 } from "../../assets/checksum.js";
import { TranscriptStore } from "../../assets/store.js";

const clock = { now: () => 0, later: (action) => action(), clear: () => {} };
const message = (parts, status = "streaming") => ({
  id: "m", role: "assistant", status, model: "", text: parts.map((p) => p.text).join(""), parts, stop_reason: null, seq: 0,
});
const opened = (...messages) => ({ k: "open", g: 1, conversation: "c", title: "", messages, earlier: false, missing: false });

test("it is zlib's CRC-32, whole or in pieces", () => {
  expect(crc32("123456789")).toBe(0xcbf43926);
  expect(crc32("")).toBe(0);
  expect(crc32("wörld 👩‍👩‍👧", crc32("héllo "))).toBe(crc32("héllo wörld 👩‍👩‍👧"));
});

test("a checksum that agrees makes the answer verified, and says of how many pieces it is made", () => {
  const store = new TranscriptStore({ clock });
  store.feed(opened(message([])));
  store.feed({ m: "m", s: 1, p: 0, o: 0, t: "hm", y: "reasoning" });
  store.feed({ m: "m", s: 2, p: 1, o: 0, t: "a" });
  store.feed({ m: "m", s: 3, p: 1, o: 1, t: "b", c: crc32("ab") });
  store.feed({ k: "end", m: "m", s: 4, status: "finished", stop_reason: "stop", length: 2, c: crc32("ab") });
  store.flush();
  expect(store.message("m").verified).toBe(true);
  expect(store.message("m").tally).toEqual({ pieces: 3, gaps: 0, reconnects: 0 });
  expect(store.stats.mismatches).toBe(0);
});

test("a checksum that differs is counted, told, and healed by the whole transcript", () => {
  let asked = 0;
  const told = [];
  const store = new TranscriptStore({ clock, onResync: () => (asked += 1) });
  store.onFrame((frame) => told.push(frame.k));
  store.feed(opened(message([])));
  store.feed({ m: "m", s: 1, p: 0, o: 0, t: "wrong", c: crc32("right") });
  expect([asked, store.stats.mismatches, told]).toEqual([1, 1, ["open", "mismatch"]]);
  store.feed(opened({ ...message([{ type: "text", text: "right" }]), seq: 1 }));
  store.feed({ m: "m", s: 2, p: 0, o: 5, t: "!", c: crc32("right!") });
  store.flush();
  expect(store.message("m").parts[0].splitter.text).toBe("right!");
  expect(store.stats.mismatches).toBe(1);
});

test("what begins in the middle goes on from there", () => {
  const store = new TranscriptStore({ clock });
  store.feed(opened({ ...message([{ type: "text", text: "half " }]), seq: 7 }));
  store.disconnected();
  store.feed(opened({ ...message([{ type: "text", text: "half of it " }]), seq: 9 }));
  store.feed({ m: "m", s: 10, p: 0, o: 11, t: "done", c: crc32("half of it done") });
  store.flush();
  expect(store.stats.mismatches).toBe(0);
  expect(store.message("m").tally.reconnects).toBe(1);
});
