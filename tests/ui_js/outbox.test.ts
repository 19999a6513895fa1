import { expect, test } from "bun:test";

import { newId } from "../../assets/chat/common/new-id";
import { MAX_CHARACTERS, Outbox, remainder } from "../../assets/chat/composer/outbox";

function outbox() {
  const sent: unknown[][] = [];
  let n = 0;
  const box = new Outbox({
    newId: () => {
      n += 1;
      return `id${n}`;
    },
    send: (...args) => sent.push(args),
  });
  return { box, sent };
}

test("nothing, and too much, is not sent", () => {
  const { box, sent } = outbox();
  expect(box.submit(" \n\t", "m")).toBe("empty");
  expect(box.submit("x".repeat(MAX_CHARACTERS + 1), "m")).toBe("long");
  expect(sent).toEqual([]);
});

test("the same draft twice is the same message; after it was accepted it is a new one", () => {
  const { box, sent } = outbox();
  box.submit("hello", "m");
  box.submit("hello", "m");
  expect(sent).toEqual([
    ["hello", "id1", "m"],
    ["hello", "id1", "m"],
  ]);
  expect(box.accepted("id1")).toBe("hello");
  box.submit("hello", "m");
  expect(sent.at(-1)).toEqual(["hello", "id2", "m"]);
});

test("while one is on its way another one waits", () => {
  const { box, sent } = outbox();
  box.submit("one", "m");
  expect(box.submit("two", "m")).toBe("busy");
  expect(sent.length).toBe(1);
});

test("after the connection came back the same message is sent again, and only while it is not accepted", () => {
  const { box, sent } = outbox();
  box.resend();
  box.submit("one", "m");
  box.resend();
  expect(sent[1]).toEqual(sent[0]);
  box.accepted("id1");
  box.resend();
  expect(sent.length).toBe(2);
});

test("what was refused may be sent again, as the same message", () => {
  const { box, sent } = outbox();
  box.submit("one", "bad");
  expect(box.refused("other")).toBe(false);
  expect(box.refused("id1")).toBe(true);
  box.submit("one", "good");
  expect(sent.at(-1)).toEqual(["one", "id1", "good"]);
});

test("an acceptance of something else changes nothing", () => {
  const { box } = outbox();
  box.submit("one", "m");
  expect(box.accepted("other")).toBeNull();
  expect(box.pending?.text).toBe("one");
});

test("a draft from an earlier visit keeps its id, unless it is changed", () => {
  const { box } = outbox();
  box.restore("one", "kept");
  expect(box.idOf("one")).toBe("kept");
  expect(box.idOf("one more")).toBe("id1");
});

test("what was typed while a message was on its way stays", () => {
  expect(remainder("hello", "hello")).toBe("");
  expect(remainder("hello\n", "hello")).toBe("");
  expect(remainder("hello and more", "hello")).toBe("and more");
  expect(remainder("something else", "hello")).toBe("something else");
});

test("ids are made without randomUUID too, as on plain http", () => {
  const ids = new Set(
    Array.from({ length: 100 }, () => newId({ getRandomValues: crypto.getRandomValues.bind(crypto) })),
  );
  expect(ids.size).toBe(100);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
