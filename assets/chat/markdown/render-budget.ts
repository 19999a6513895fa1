// Limits the rendering of very long texts: so much per frame, the end of the page first.

const PER_FRAME = 8_000; // characters
const AT_ONCE = 16_000;
const SETTLED_AFTER_MS = 400;

let left = AT_ONCE;
let waiting: (() => void)[] = [];
let frame = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
const idleListeners = new Set<() => void>();

/** The index from which on blocks may be rendered now, not below `low`; those from `end` on are rendered already. */
export function takeBudget(blocks: readonly { text: string }[], low: number, end = blocks.length): number {
  let from = end;
  // At least one block, so that there is progress.
  while (from > low && (left > 0 || from === end)) {
    from -= 1;
    left -= blocks[from].text.length;
  }
  schedule();
  return from;
}

/** Requests a turn in a later frame; returns how to cancel it. */
export function requestTurn(action: () => void): () => void {
  waiting.push(action);
  schedule();
  return () => {
    waiting = waiting.filter((other) => other !== action);
  };
}

/** Calls back once when everything is rendered; returns how to cancel it. */
export function whenRendered(listener: () => void): () => void {
  idleListeners.add(listener);
  schedule();
  return () => idleListeners.delete(listener);
}

function schedule(): void {
  if (frame || typeof requestAnimationFrame === "undefined") return;
  clearTimeout(timer);
  frame = requestAnimationFrame(() => {
    frame = 0;
    left = waiting.length ? PER_FRAME : AT_ONCE;
    // Effects run in the order of the page: the last one is nearest to the end.
    waiting.pop()?.();
    if (waiting.length) schedule();
    else if (idleListeners.size) timer = setTimeout(notify, SETTLED_AFTER_MS);
  });
}

function notify(): void {
  const listeners = [...idleListeners];
  idleListeners.clear();
  for (const listener of listeners) listener();
}
