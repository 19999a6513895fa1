import { expect, test } from "bun:test";

import { crc32 } from "../../assets/chat/store/checksum";
import { asText, open, opened, streaming, viewOf } from "./messages";

test("it is zlib's CRC-32, whole or in pieces", () => {
  expect(crc32("123456789")).toBe(0xcbf43926);
  expect(crc32("")).toBe(0);
  expect(crc32("wörld 👩‍👩‍👧", crc32("héllo "))).toBe(crc32("héllo wörld 👩‍👩‍👧"));
});

test("a checksum that agrees makes the answer verified, and says of how many pieces it is made", () => {
  const { store } = opened(streaming("m"));
  store.feed({ m: "m", s: 1, p: 0, o: 0, t: "hm", y: "reasoning" });
  store.feed({ m: "m", s: 2, p: 1, o: 0, t: "a" });
  store.feed({ m: "m", s: 3, p: 1, o: 1, t: "b", c: crc32("ab") });
  store.feed({ k: "end", m: "m", s: 4, status: "finished", stop_reason: "stop", length: 2, c: crc32("ab") });
  store.flush();
  expect(viewOf(store, "m").verified).toBe(true);
  expect(viewOf(store, "m").tally).toEqual({ pieces: 3, gaps: 0, reconnects: 0, lags: [] });
  expect(store.stats.mismatches).toBe(0);
});

test("a checksum that differs is counted, told, and healed by the whole transcript", () => {
  const { store, clock, resyncs } = opened(streaming("m"));
  const signals: string[] = [];
  store.onFrame((frame) => signals.push(frame.k));
  store.feed({ m: "m", s: 1, p: 0, o: 0, t: "wrong", c: crc32("right") });
  clock.pass(200);
  expect([resyncs.length, store.stats.mismatches, signals]).toEqual([1, 1, ["mismatch"]]);
  store.feed(open([streaming("m", "right", 1)]));
  store.feed({ m: "m", s: 2, p: 0, o: 5, t: "!", c: crc32("right!") });
  expect(asText(viewOf(store, "m").parts[0]).splitter.text).toBe("right!");
  expect(store.stats.mismatches).toBe(1);
});

test("what begins in the middle goes on from there", () => {
  const { store } = opened(streaming("m", "half ", 7));
  store.disconnected();
  store.feed(open([streaming("m", "half of it ", 9)]));
  store.feed({ m: "m", s: 10, p: 0, o: 11, t: "done", c: crc32("half of it done") });
  store.flush();
  expect(store.stats.mismatches).toBe(0);
  expect(viewOf(store, "m").tally.reconnects).toBe(1);
});
