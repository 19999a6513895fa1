// Decides when the page is painted.
//
// At most once per animation frame. If painting is slow it takes half of the time at most, and waits while the reader
// types. One slow paint among fast ones, as of a conversation that is opened, delays nothing. A hidden tab gets no
// animation frames: there the text waits in the store.
//
// What comes after a rest is rendered before the next frame, which is 8 ms away on average: it is most of an answer's work,
// and what is there when a frame is due is shown in it. It waits only as long as first words take to come after their
// message; what comes later is rendered in that frame as well.

import { flushSync } from "react-dom";
import { keepSelection } from "../common/keep-selection";

const SLOW_MS = 10; // a paint that costs more than this is slow
const TYPING_MS = 80;
const RESTED_MS = 100; // without a paint
const SOON_MS = 2;
const MAX_DELAY_MS = 250; // the text is never longer behind than this, or than two paints, however busy the reader is

export class Painter {
  /** Paints so far. */
  paints = 0;
  /** Milliseconds from the news to the screen, of the last paint. */
  lag = 0;
  /** Milliseconds of work of a paint, with style and layout: the lesser of the last two. */
  cost = 0;
  private last = 0;
  private requested = 0;
  private painting = 0;
  private scheduled = false;
  private started = 0;
  private typedAt = Number.NEGATIVE_INFINITY;
  private soon: ReturnType<typeof setTimeout> | undefined;
  /** Milliseconds that rendering took before the frame that shows it. */
  private early: number | null = null;
  private measured = 0;
  private channel: MessageChannel | undefined;

  private readonly listeners = new Set<() => void>();

  constructor(private readonly paint: () => void) {}

  /** Calls back after each paint. Returns what ends that. */
  onPainted = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  request = (): void => {
    if (this.scheduled) return;
    this.scheduled = true;
    this.requested = performance.now();
    const wait = this.wait();
    if (wait > 0) return void setTimeout(() => requestAnimationFrame(this.frame), wait);
    requestAnimationFrame(this.frame);
    const rested = this.requested - this.started > RESTED_MS;
    if (rested && !document.hidden) this.soon = setTimeout(this.renderEarly, SOON_MS);
  };

  /** The reader pressed a key in the composer. */
  typed = (): void => {
    this.typedAt = performance.now();
  };

  private wait(): number {
    if (this.cost < SLOW_MS) return 0;
    const now = performance.now();
    const latest = this.started + Math.max(MAX_DELAY_MS, 2 * this.cost);
    const wanted = Math.max(this.started + 2 * this.cost, this.typedAt + TYPING_MS);
    return Math.min(wanted, latest) - now;
  }

  private frame = (): void => {
    clearTimeout(this.soon);
    const { early } = this;
    this.early = null;
    if (!this.scheduled) return early === null ? undefined : this.measure(early);
    const wait = this.wait();
    if (wait > 0) return void setTimeout(() => requestAnimationFrame(this.frame), wait);
    this.render();
    this.measure(performance.now() - this.started);
  };

  private renderEarly = (): void => {
    this.render();
    this.early = performance.now() - this.started;
  };

  private render(): void {
    this.scheduled = false;
    this.painting = this.requested;
    this.started = performance.now();
    this.paints += 1;
    keepSelection(() => flushSync(this.paint));
  }

  // In the frame that shows what was rendered for so long. The message arrives after style, layout and paint, which are
  // the greater part of the cost.
  private measure(rendered: number): void {
    this.measured = performance.now() - rendered;
    this.afterPaint().postMessage(0);
  }

  private afterPaint(): MessagePort {
    if (!this.channel) {
      this.channel = new MessageChannel();
      this.channel.port1.onmessage = () => {
        const now = performance.now();
        const work = now - this.measured;
        this.cost = Math.min(work, this.last);
        this.last = work;
        this.lag = now - this.painting;
        for (const listener of this.listeners) listener();
      };
    }
    return this.channel.port2;
  }
}
