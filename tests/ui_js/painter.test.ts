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

test("after a rest it renders before the next frame, and a moment later what came meanwhile in that frame", async () => {
  const { store, painter } = createChat();
  const next = globalThis.requestAnimationFrame;
  const due: FrameRequestCallback[] = [];
  globalThis.requestAnimationFrame = (callback) => due.push(callback);
  const show = () => {
    for (const callback of due.splice(0)) callback(0);
  };
  try {
    await new Promise((resolve) => setTimeout(resolve, 150));
    const lags: number[] = [];
    painter.onPainted(() => lags.push(painter.lag));
    store.feed(open([streaming("a", "", 0)]));
    store.feed({ m: "a", s: 1, p: 0, o: 0, t: "x" });
    while (!painter.paints) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(textIn(store, "a")).toBe("x");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(lags).toEqual([]); // nothing is on the screen yet
    store.feed({ m: "a", s: 2, p: 0, o: 1, t: "y" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(painter.paints).toBe(1);
    show();
    expect(painter.paints).toBe(2);
    expect(textIn(store, "a")).toBe("xy");
    while (!lags.length) await new Promise((resolve) => setTimeout(resolve, 1));
  } finally {
    globalThis.requestAnimationFrame = next;
  }
});

test("what was rendered before its frame has been shown when that frame was", async () => {
  const painter = new Painter(() => {});
  await new Promise((resolve) => setTimeout(resolve, 150));
  const shown = new Promise<void>((resolve) => painter.onPainted(resolve));
  painter.request();
  await shown;
  expect(painter.paints).toBe(1);
  expect(painter.cost).toBeLessThanOrEqual(painter.lag);
});
