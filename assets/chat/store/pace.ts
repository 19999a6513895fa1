// Tells the server how often this tab wants the pieces of an answer.
//
// Every delta, as long as a paint takes about a frame, because joining what came meanwhile costs the page next to nothing;
// if it is slower, as often as it can be painted in half of the time; once a second in a hidden tab, which paints
// nothing. The server joins what waits. Rules:
//
// * A change is told at once if it is for the better, else once a second at most.
// * A transcript ("open") begins with every delta, whatever was told before.

import type { Clock } from "./resync";

const SLOW_MS = 25;
const STEPS_MS = [0, 100, 250];
const HIDDEN_MS = 1000;
const INTERVAL_MS = 1000;
const WEIGHT = 0.2; // of the newest paint in the average

export class Pace {
  private open = false;
  private told = 0;
  private toldAt = Number.NEGATIVE_INFINITY;
  private average = 0;
  private hidden = false;
  private timer: unknown = null;

  /** `tell`: gets milliseconds. */
  constructor(
    private readonly clock: Clock,
    private readonly tell: (milliseconds: number) => void,
  ) {}

  /** A paint cost so many milliseconds. */
  painted(cost: number): void {
    this.average += WEIGHT * (cost - this.average);
    this.update();
  }

  /** The tab was hidden, or is shown. */
  shown(visible: boolean): void {
    this.hidden = !visible;
    this.update();
  }

  /** The server begins anew, with every delta. */
  opened(): void {
    this.open = true;
    this.told = 0;
    this.toldAt = Number.NEGATIVE_INFINITY;
    this.update();
  }

  private wanted(): number {
    if (this.hidden) return HIDDEN_MS;
    if (this.average < SLOW_MS) return 0;
    return STEPS_MS.find((step) => step >= 2 * this.average) ?? (STEPS_MS.at(-1) as number);
  }

  private update(): void {
    this.clock.clear(this.timer);
    const wanted = this.wanted();
    if (wanted === this.told || !this.open) return;
    const wait = wanted < this.told ? 0 : this.toldAt + INTERVAL_MS - this.clock.now();
    if (wait > 0) {
      this.timer = this.clock.later(() => this.update(), wait);
      return;
    }
    this.told = wanted;
    this.toldAt = this.clock.now();
    this.tell(wanted);
  }
}
