// What `GET /api/latency` tells, as plots and rows. Pure.

import { strings } from "../common/strings";
import { labStrings } from "../common/strings/lab";
import type { Json } from "../store/frames";
import type { PlotView, Point } from "../tools/values";

export type FigureName = "ttfb_ms" | "ttft_ms" | "ttlt_ms" | "ttc_ms" | "tokens_per_second";

/** In ms, or in tokens per second. `counts`: answers in each bucket; empty for a single day. */
export interface Distribution {
  answers: number;
  min: number;
  p50: number;
  p95: number;
  max: number;
  counts: number[];
}

export interface Group {
  day: string;
  model: string;
  answers: number;
  failed: number;
  figures: Partial<Record<FigureName, Distribution>>;
}

export interface SlowAnswer {
  message_id: string;
  conversation_id: string;
  title: string;
  model: string;
  status: string;
  created_at: string;
  value: number;
}

export interface Report {
  since: string;
  answers: number;
  complete: boolean;
  bounds: Record<FigureName, number[]>;
  models: Group[];
  days: Group[];
  failures: { model: string; kind: string; answers: number }[];
  slowest: Record<FigureName, SlowAnswer[]>;
}

export const MODELS_DRAWN = 5;

const isRate = (figure: FigureName) => figure === "tokens_per_second";
const t = () => labStrings().latency;
const unit = (figure: FigureName) => (isRate(figure) ? t().tokensPerSecond : t().seconds);
// Three significant digits: more of them are noise.
const inUnit = (figure: FigureName, value: number) => Number((isRate(figure) ? value : value / 1000).toPrecision(3));

/** "0.52 s", "48 tokens/s". */
export function shown(figure: FigureName, value: number): string {
  return t().value(inUnit(figure, value), isRate(figure));
}

/** The models that are drawn: the chosen one, or those with most answers. */
export function drawn(report: Report, model: string): Group[] {
  return report.models.filter((group) => !model || group.model === model).slice(0, MODELS_DRAWN);
}

/** A day per point: of one model the median and the 95th percentile, of several the median of each. */
export function byDay(report: Report, figure: FigureName, model: string): PlotView | null {
  const models = drawn(report, model);
  const days = [...new Set(report.days.map((group) => group.day))].sort();
  const line = (name: string, pick: (found: Distribution) => number, of: string) => {
    const values = new Map<string, number>();
    for (const group of report.days) {
      const found = group.model === of ? group.figures[figure] : undefined;
      if (found) values.set(group.day, inUnit(figure, pick(found)));
    }
    // A day without answers is a gap that the line crosses.
    return { name, points: days.flatMap((day): Point[] => (values.has(day) ? [[day, values.get(day) ?? null]] : [])) };
  };
  const series =
    models.length === 1
      ? [line(t().median, ({ p50 }) => p50, models[0].model), line(t().p95, ({ p95 }) => p95, models[0].model)]
      : models.map(({ model: name }) => line(name, ({ p50 }) => p50, name));
  return plotOf("line", models.length === 1 ? t().byDay : t().medianByDay, "", unit(figure), series);
}

/** How many answers are in each bucket. */
export function distribution(report: Report, figure: FigureName, model: string): PlotView | null {
  const labels = bucketLabels(report.bounds[figure], isRate(figure));
  const series = drawn(report, model).map((group) => {
    const counts = group.figures[figure]?.counts ?? [];
    return { name: group.model, points: counts.map((count, i): Point => [labels[i], count]) };
  });
  return plotOf("bar", t().distribution, unit(figure), t().answers, series);
}

export function failures(report: Report, model: string): PlotView | null {
  const rows = report.failures.filter((row) => !model || row.model === model);
  const kinds = [...new Set(rows.map((row) => row.kind))];
  const series = [...new Set(rows.map((row) => row.model))].slice(0, MODELS_DRAWN).map((name) => ({
    name,
    points: kinds.map(
      (kind): Point => [kind, rows.find((row) => row.kind === kind && row.model === name)?.answers ?? 0],
    ),
  }));
  return plotOf("bar", t().failures, "", t().answers, series);
}

/** A row per model, for the columns of the table of models. */
export function rowsOf(report: Report): Json[][] {
  return report.models.map(({ model, answers, failed, figures }) => {
    const value = (figure: FigureName, share: "p50" | "p95") => {
      const found = figures[figure]?.[share];
      return found === undefined ? null : inUnit(figure, found);
    };
    const times = [value("ttft_ms", "p50"), value("ttft_ms", "p95"), value("ttc_ms", "p50"), value("ttc_ms", "p95")];
    return [model, answers, failed, ...times, value("tokens_per_second", "p50")];
  });
}

function plotOf(
  form: PlotView["form"],
  title: string,
  xLabel: string,
  yLabel: string,
  series: PlotView["series"],
): PlotView | null {
  const filled = series.filter(({ points }) => points.length);
  return filled.length ? { kind: "plot", form, title, xLabel, yLabel, left: 0, series: filled } : null;
}

// "< 0.1", "0.1–0.2" … "≥ 60".
function bucketLabels(bounds: number[], rate: boolean): string[] {
  const ends = bounds.map((bound) => strings().common.decimal(rate ? bound : bound / 1000));
  const between = ends.slice(1).map((end, i) => `${ends[i]}–${end}`);
  return [`< ${ends[0]}`, ...between, `≥ ${ends[ends.length - 1]}`];
}
