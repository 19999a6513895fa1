// Shares out the work of rendering very long texts: so much per frame, what stands last first.

const PER_FRAME = 8_000; // characters
const AT_ONCE = 16_000;
const SETTLED_AFTER_MS = 400;

let left = AT_ONCE;
let waiting = [];
let frame = 0;
let timer = 0;
const listeners = new Set();

// The index from which on blocks may be rendered now, not below `low`; `end` is rendered already.
export function share(blocks, low, end = blocks.length) {
  let from = end;
  // At least one block, so that it goes on.
  while (from > low && (left > 0 || from === end)) {
    from -= 1;
    left -= blocks[from].text.length;
  }
  schedule();
  return from;
}

// Asks for a turn in a later frame; returns how to withdraw.
export function fill(action) {
  waiting.push(action);
  schedule();
  return () => {
    waiting = waiting.filter((other) => other !== action);
  };
}

// Calls once when everything that is to be rendered is there; returns how to withdraw.
export function whenFilled(listener) {
  listeners.add(listener);
  schedule();
  return () => listeners.delete(listener);
}

function schedule() {
  if (frame || typeof requestAnimationFrame === "undefined") return;
  clearTimeout(timer);
  frame = requestAnimationFrame(() => {
    frame = 0;
    left = waiting.length ? PER_FRAME : AT_ONCE;
    // Effects run in the order of the page: the last one is nearest to the end.
    waiting.pop()?.();
    if (waiting.length) schedule();
    else if (listeners.size) timer = setTimeout(settle, SETTLED_AFTER_MS);
  });
}

function settle() {
  const told = [...listeners];
  listeners.clear();
  for (const listener of told) listener();
}
