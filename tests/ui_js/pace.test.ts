import { expect, test } from "bun:test";
import { Pace } from "../../assets/chat/store/pace";

function paced() {
  const told: number[] = [];
  const timers = new Map<number, [number, () => void]>();
  let now = 0;
  let last = 0;
  const clock = {
    now: () => now,
    later: (action: () => void, ms: number) => {
      last += 1;
      timers.set(last, [now + ms, action]);
      return last;
    },
    clear: (timer: unknown) => timers.delete(timer as number),
  };
  const advance = (ms: number) => {
    now += ms;
    for (const [timer, [at, action]] of [...timers]) {
      if (at > now) continue;
      timers.delete(timer);
      action();
    }
  };
  const pace = new Pace(clock, (milliseconds) => told.push(milliseconds));
  const paint = (cost: number, times = 40) => {
    for (let i = 0; i < times; i += 1) pace.painted(cost);
  };
  return { pace, told, advance, paint };
}

test("a tab that paints fast gets every delta, and says nothing", () => {
  const { pace, told, paint } = paced();
  pace.opened();
  pace.shown(true);
  paint(20);
  expect(told).toEqual([]);
});

test("a slow one gets larger pieces, one step per second at most, and every delta again once it is fast", () => {
  const { pace, told, advance, paint } = paced();
  pace.opened();
  paint(40);
  expect(told).toEqual([100]);
  paint(400);
  expect(told).toEqual([100]);
  advance(1000);
  expect(told).toEqual([100, 250]);
  paint(2, 100);
  expect(told.at(-1)).toBe(0);
});

test("one slow paint among fast ones changes nothing", () => {
  const { pace, told, paint } = paced();
  pace.opened();
  paint(5);
  paint(30, 1);
  paint(5);
  expect(told).toEqual([]);
});

test("a hidden tab gets one piece a second, and catches up as soon as it is shown", () => {
  const { pace, told } = paced();
  pace.opened();
  pace.shown(false);
  pace.shown(true);
  expect(told).toEqual([1000, 0]);
});

test("what was told is told again to a server that begins anew, and nothing before it began", () => {
  const { pace, told } = paced();
  pace.shown(false);
  expect(told).toEqual([]);
  pace.opened();
  pace.opened();
  expect(told).toEqual([1000, 1000]);
  pace.shown(true);
  pace.opened();
  expect(told).toEqual([1000, 1000, 0]);
});
