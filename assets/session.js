// The one transcript of this page, and what its parts share.

import { flushSync } from "react-dom";

import { Follow } from "./follow.js";
import { newId } from "./outbox.js";
import { TranscriptStore } from "./store.js";

const SLOW_MS = 10; // a paint that costs more than this is slow
const TYPING_MS = 80;
const LATEST_MS = 250; // however busy the reader is, the text is never longer behind than this

// Paints at most once per animation frame. Where painting is slow it takes half of the time at most, and waits while the
// reader types. A hidden tab is given no frames: there the text waits in the store.
export class Painter {
  paints = 0;
  _asked = false;
  _started = 0;
  _cost = 0;
  _typedAt = -Infinity;

  constructor(paint) {
    this._paint = paint;
  }

  request = () => {
    if (this._asked) return;
    this._asked = true;
    const wait = this._wait();
    if (wait > 0) setTimeout(() => requestAnimationFrame(this._run), wait);
    else requestAnimationFrame(this._run);
  };

  typed = () => {
    this._typedAt = performance.now();
  };

  _wait() {
    if (this._cost < SLOW_MS) return 0;
    const now = performance.now();
    const latest = this._started + Math.max(LATEST_MS, 2 * this._cost);
    const wanted = Math.max(this._started + 2 * this._cost, this._typedAt + TYPING_MS);
    return Math.min(wanted, latest) - now;
  }

  _run = () => {
    this._asked = false;
    if (this._wait() > 0) return this.request();
    this._started = performance.now();
    this.paints += 1;
    flushSync(this._paint);
    // Comes after style, layout and paint: these are the greater part of the cost.
    this._after().postMessage(0);
  };

  _after() {
    if (!this._channel) {
      this._channel = new MessageChannel();
      this._channel.port1.onmessage = () => (this._cost = performance.now() - this._started);
    }
    return this._channel.port2;
  }
}

export const follow = new Follow();

export const actions = { resync: () => {} };

export const store = new TranscriptStore({
  onResync: () => actions.resync(),
  onDirty: () => painter.request(),
});

const painter = new Painter(() => store.flush());
export const paints = () => painter.paints;
export const typed = painter.typed;

// A value that components share.
export function shared(value) {
  const listeners = new Set();
  return {
    get: () => value,
    set: (next) => {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export const chosen = shared(""); // the model in the picker
export const offeredModels = shared([]);
export const submitting = shared(null); // (text, model?) => void: the composer's way to send

const ids = new Map();

// The same click on the same thing twice is one request.
export function idFor(action, messageId) {
  const key = `${action} ${messageId}`;
  if (!ids.has(key)) ids.set(key, newId());
  return ids.get(key);
}
