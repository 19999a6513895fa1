import { afterEach, beforeEach, expect, test } from "bun:test";
import { StickToBottom } from "../../assets/chat/transcript/stick-to-bottom";

// There is no layout here: sizes are set, and what observes them is called.
let resized: () => void;
const original = globalThis.ResizeObserver;
beforeEach(() => {
  globalThis.ResizeObserver = class {
    constructor(callback: () => void) {
      resized = callback;
    }
    observe() {}
    disconnect() {}
  } as unknown as typeof ResizeObserver;
});
afterEach(() => {
  globalThis.ResizeObserver = original;
  document.body.replaceChildren();
});

function attach() {
  const scroller = document.body.appendChild(document.createElement("div"));
  const content = scroller.appendChild(document.createElement("div"));
  content.textContent = "Some words.";
  let height = 1000;
  let top = 0;
  Object.defineProperties(scroller, {
    scrollHeight: { get: () => height },
    clientHeight: { get: () => 400 },
    scrollTop: {
      get: () => top,
      set: (value: number) => {
        top = Math.max(0, Math.min(value, height - 400));
      },
    },
  });
  const scroll = new StickToBottom();
  scroll.empty = false;
  const detach = scroll.attach(scroller, content);
  const grow = (px: number) => {
    height += px;
    resized();
  };
  const press = (type: string) =>
    scroller.dispatchEvent(new PointerEvent(type, { pointerType: "mouse", button: 0, bubbles: true }));
  return { scroll, scroller, content, grow, press, detach };
}

test("while the mouse is held down nothing moves; then it goes on", () => {
  const { scroll, scroller, grow, press, detach } = attach();
  grow(100);
  expect(scroller.scrollTop).toBe(700);
  press("pointerdown");
  grow(100);
  expect(scroller.scrollTop).toBe(700);
  press("pointerup");
  expect([scroller.scrollTop, scroll.isStuck()]).toEqual([800, true]);
  detach();
});

test("while the mouse is held down a text that gets shorter leaves its room; then it does not", () => {
  const { content, press, detach } = attach();
  content.style.height = "600px";
  press("pointerdown");
  expect(content.style.minHeight).toBe("600px");
  press("pointerup");
  expect(content.style.minHeight).toBe("");
  detach();
});

test("after a selection was made nothing moves until the reader asks for it", () => {
  const { scroll, scroller, content, grow, press, detach } = attach();
  grow(100);
  press("pointerdown");
  getSelection()?.selectAllChildren(content);
  grow(100);
  press("pointerup");
  grow(100);
  expect([scroller.scrollTop, scroll.isStuck()]).toEqual([700, false]);
  getSelection()?.removeAllRanges();
  scroll.stick();
  expect([scroller.scrollTop, scroll.isStuck()]).toEqual([900, true]);
  detach();
});

test("an approval that is higher than the view is shown from its top, the first of several", () => {
  const { scroll, scroller, content, grow, detach } = attach();
  const panel = content.appendChild(document.createElement("details"));
  panel.innerHTML = "<summary>delete</summary><div class=approval></div>";
  panel.getBoundingClientRect = () => ({ top: 500 - scroller.scrollTop }) as DOMRect;
  scroller.getBoundingClientRect = () => ({ top: 0 }) as DOMRect;
  grow(600);
  expect([scroller.scrollTop, scroll.isStuck()]).toEqual([484, true]);
  panel.remove();
  grow(1);
  expect(scroller.scrollTop).toBe(1201);
  detach();
});
