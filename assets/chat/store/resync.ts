// Asks for the whole transcript after a gap: at most once a second, and not if it comes by itself.

const INTERVAL_MS = 1000;
// A gap at the moment of a reconnect is closed by the transcript that is on its way already.
const DELAY_MS = 150;

export interface Clock {
  /** Milliseconds. */
  now(): number;
  later(action: () => void, ms: number): unknown;
  clear(timer: unknown): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  later: (action, ms) => setTimeout(action, ms),
  clear: (timer) => clearTimeout(timer as number),
};

export class Resync {
  private pending = false;
  private timer: unknown = null;
  private last = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly clock: Clock,
    private readonly action: () => void,
  ) {}

  request(): void {
    if (this.pending) return;
    this.pending = true;
    const wait = Math.max(DELAY_MS, this.last + INTERVAL_MS - this.clock.now());
    this.timer = this.clock.later(() => {
      this.pending = false;
      this.last = this.clock.now();
      this.action();
    }, wait);
  }

  cancel(): void {
    this.clock.clear(this.timer);
    this.pending = false;
  }
}
