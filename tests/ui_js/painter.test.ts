import { expect, test } from "bun:test";
import { createChat } from "../../assets/chat/chat";
import { Painter } from "../../assets/chat/store/painter";
import { open, streaming, textIn } from "./messages";

const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

test("however many pieces come, there is one paint per animation frame", async () => {
  const { store, painter } = createChat();
  store.feed(open([streaming("a", "", 0)]));
  for (let i = 0; i < 1000; i += 1) store.feed({ m: "a", s: i + 1, p: 0, o: i, t: "x" });
  expect(painter.paints).toBe(0);
  await frame();
  expect(painter.paints).toBe(1);
  expect(textIn(store, "a").length).toBe(1000);
  await frame();
  expect(painter.paints).toBe(1);
});

test("what is requested while it paints is painted in the next frame", async () => {
  let paints = 0;
  const painter = new Painter(() => {
    paints += 1;
    if (paints < 3) painter.request();
  });
  painter.request();
  painter.request();
  while (paints < 3) await frame();
  expect(painter.paints).toBe(3);
});

test("one slow paint does not delay the next one; two in a row do", async () => {
  const paints: number[] = [];
  const painter = new Painter(() => {
    paints.push(painter.paints);
    for (const end = performance.now() + 60; performance.now() < end; );
  });
  const painted = () => new Promise<void>((resolve) => painter.onPainted(resolve));
  for (const expected of [1, 2]) {
    const done = painted();
    painter.request();
    await frame();
    expect(paints.length).toBe(expected);
    await done;
  }
  painter.request();
  await frame();
  expect(paints.length).toBe(2);
});
