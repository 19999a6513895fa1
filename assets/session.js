// The one transcript of this page, and what its parts share.

import { flushSync } from "react-dom";

import { Follow } from "./follow.js";
import { newId } from "./outbox.js";
import { TranscriptStore } from "./store.js";

// Paints at most once per animation frame, and leaves the other half of the time to the reader where painting is slow.
// A hidden tab is given no frames: there the text waits in the store.
export class Painter {
  paints = 0;
  _frame = 0;
  _notBefore = 0;

  constructor(paint) {
    this._paint = paint;
  }

  request = () => {
    this._frame ||= requestAnimationFrame(this._run);
  };

  _run = () => {
    this._frame = 0;
    this._started = performance.now();
    if (this._started < this._notBefore) return this.request();
    this.paints += 1;
    flushSync(this._paint);
    // Comes after style, layout and paint: these are the greater part of the cost.
    this._after().postMessage(0);
  };

  _after() {
    if (!this._channel) {
      this._channel = new MessageChannel();
      this._channel.port1.onmessage = () => this._painted();
    }
    return this._channel.port2;
  }

  _painted() {
    const cost = performance.now() - this._started;
    this._notBefore = cost < 10 ? 0 : this._started + Math.min(2 * cost, cost + 400);
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
