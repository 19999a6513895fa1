// Asks for the whole transcript after a gap: at most once a second, and not where it comes by itself.

const EVERY_MS = 1000;
// A gap at the moment of a reconnect is mended by the transcript that is on its way already.
const AFTER_MS = 150;

export const systemClock = {
  now: () => Date.now(),
  later: (action, ms) => setTimeout(action, ms),
  clear: (timer) => clearTimeout(timer),
};

export class Resync {
  constructor(clock, action) {
    this._clock = clock;
    this._action = action;
    this._asked = false;
    this._timer = null;
    this._last = -Infinity;
  }

  ask() {
    if (this._asked) return;
    this._asked = true;
    const wait = Math.max(AFTER_MS, this._last + EVERY_MS - this._clock.now());
    this._timer = this._clock.later(() => {
      this._asked = false;
      this._last = this._clock.now();
      this._action();
    }, wait);
  }

  cancel() {
    this._clock.clear(this._timer);
    this._asked = false;
  }
}
