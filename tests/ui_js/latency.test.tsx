import { afterEach, expect, test } from "bun:test";
import { render } from "@testing-library/react";
import { en } from "../../assets/chat/common/strings/lab/en";
import { LatencyPage } from "../../assets/chat/latency/latency";
import {
  byDay,
  type Distribution,
  distribution,
  failures,
  type Group,
  type Report,
  rowsOf,
  type SlowAnswer,
  shown,
} from "../../assets/chat/latency/report";
import { fireEvent, screen, within } from "./dom";

const original = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = original;
});

const of = (p50: number, counts: number[] = []): Distribution => ({
  ...{ answers: 9, min: p50 / 2, p50, p95: p50 * 2, max: p50 * 3 },
  counts,
});
const group = (model: string, day: string, p50: number, counts?: number[]): Group => ({
  ...{ day, model, answers: 9, failed: 1 },
  figures: { ttft_ms: of(p50, counts), tokens_per_second: of(50.26, counts) },
});
const slow = (id: string, value: number): SlowAnswer => ({
  ...{ message_id: id, conversation_id: `c-${id}`, title: `Title ${id}`, model: "m:x", status: "failed", value },
  created_at: "2026-11-29T10:00:00+00:00",
});

const BOUNDS = [100, 200, 500];
function reportOf(changes: Partial<Report> = {}): Report {
  return {
    ...{
      since: "2026-11-01",
      answers: 18,
      complete: true,
      failures: [{ model: "m:y", kind: "overloaded", answers: 2 }],
    },
    bounds: { ttfb_ms: BOUNDS, ttft_ms: BOUNDS, ttlt_ms: BOUNDS, ttc_ms: BOUNDS, tokens_per_second: [5, 10, 20] },
    models: [group("m:x", "", 400, [1, 2, 3, 4]), group("m:y", "", 900, [0, 0, 1, 8])],
    days: [group("m:x", "2026-11-02", 300), group("m:y", "2026-11-02", 800), group("m:x", "2026-11-01", 500)],
    slowest: { ttfb_ms: [], ttft_ms: [slow("a", 12_345)], ttlt_ms: [], ttc_ms: [], tokens_per_second: [slow("b", 4)] },
    ...changes,
  };
}

test("by day, a line per model; of one model the middle and the slow end", () => {
  const several = byDay(reportOf(), "ttft_ms", "");
  expect(several?.series.map(({ name }) => name)).toEqual(["m:x", "m:y"]);
  expect(several?.series[0].points).toEqual([
    ["2026-11-01", 0.5],
    ["2026-11-02", 0.3],
  ]);
  const one = byDay(reportOf(), "ttft_ms", "m:y");
  expect(one?.series.map(({ points }) => points)).toEqual([[["2026-11-02", 0.8]], [["2026-11-02", 1.6]]]);
  expect(byDay(reportOf(), "ttc_ms", "")).toBeNull();
});

test("a distribution has a bar per bucket, with its ends", () => {
  const view = distribution(reportOf(), "ttft_ms", "m:x");
  expect(view?.series).toEqual([
    {
      name: "m:x",
      points: [
        ["< 0.1", 1],
        ["0.1–0.2", 2],
        ["0.2–0.5", 3],
        ["≥ 0.5", 4],
      ],
    },
  ]);
  expect(distribution(reportOf(), "tokens_per_second", "m:x")?.series[0].points[0][0]).toBe("< 5");
});

test("failures by kind, and none of a model without any", () => {
  expect(failures(reportOf(), "")?.series).toEqual([{ name: "m:y", points: [["overloaded", 2]] }]);
  expect(failures(reportOf(), "m:x")).toBeNull();
});

test("a row per model in seconds, with nothing where nothing is known", () => {
  const rows = rowsOf(reportOf());
  expect(rows[0]).toEqual(["m:x", 9, 1, 0.4, 0.8, null, null, 50.3]);
  expect(rows[0]).toHaveLength(en.latency.columns.length);
  expect([shown("ttft_ms", 12_345), shown("tokens_per_second", 4)]).toEqual(["12.3 s", "4 tokens/s"]);
});

function serve(answer: (path: string) => Response) {
  const asked: string[] = [];
  globalThis.fetch = (async (path: string) => {
    asked.push(path);
    return answer(path);
  }) as typeof fetch;
  return asked;
}

test("the page asks for the period, and links to the slowest answers of the figure", async () => {
  const asked = serve(() => Response.json(reportOf()));
  const { container } = render(<LatencyPage />);
  // The content security policy lets the prerendered page have no style attribute.
  expect(container.querySelector("[style]")).toBeNull();
  const link = await screen.findByTestId("slow-answer");
  expect(link.getAttribute("href")).toBe("/c/c-a#a");
  expect(link.textContent).toContain("Title a12.3 s");
  expect(link.textContent).toContain("failed");
  fireEvent.change(screen.getByTestId("latency-figure"), { target: { value: "tokens_per_second" } });
  expect(screen.getByTestId("slow-answer").dataset.messageId).toBe("b");
  fireEvent.change(screen.getByTestId("latency-days"), { target: { value: "7" } });
  expect(await screen.findByTestId("slow-answer")).toBeTruthy();
  expect(asked).toEqual(["/api/latency?days=30", "/api/latency?days=7"]);
  expect(within(screen.getByTestId("latency-model")).getAllByRole("option")).toHaveLength(3);
});

test("without answers, and without a server, a sentence says so", async () => {
  serve(() => Response.json(reportOf({ answers: 0, models: [], days: [], failures: [] })));
  const { unmount } = render(<LatencyPage />);
  expect((await screen.findByTestId("latency-results")).dataset.answers).toBe("0");
  unmount();
  serve(() => Response.json({ error: { message: "The database is busy." } }, { status: 503 }));
  render(<LatencyPage />);
  expect((await screen.findByTestId("error")).textContent).toBe("The database is busy.");
});
