// The points of a plot as the chart library needs them: rows with one column per series.
//
// Pure. Rules: columns are named by number, never by a stranger's name; more points than can be seen are thinned, with
// the lowest and the highest of each stretch kept.

import { strings } from "../common/strings";
import type { PlotView, Point, Series } from "./values";

export const MAX_POINTS = 600; // of a series

/** `{x, s0, s1 …}`. */
export type Row = { [column: string]: number | string | null };

interface Rows {
  rows: Row[];
  /** Whether x is a number throughout. */
  numeric: boolean;
  /** Whether points were left out. */
  thinned: boolean;
}

export function rowsFor(series: Pick<Series, "points">[]): Rows {
  const numeric = series.every((line) => line.points.every(([x]) => Number.isFinite(x)));
  const rows = new Map<number | string, Row>();
  let thinned = false;
  for (const [i, line] of series.entries()) {
    const points = thin(line.points, MAX_POINTS);
    thinned ||= points.length < line.points.length;
    for (const [x, y] of points) {
      const key = numeric ? (x as number) : String(x ?? "");
      const row = rows.get(key) ?? { x: key };
      rows.set(key, row);
      row[`s${i}`] = y;
    }
  }
  const list = [...rows.values()];
  if (numeric) list.sort((a, b) => (a.x as number) - (b.x as number));
  return { rows: list, numeric, thinned };
}

export function thin(points: Point[], limit: number): Point[] {
  if (points.length <= limit) return points;
  const thinned: Point[] = [];
  const stretch = points.length / (limit / 2);
  for (let from = 0; from < points.length; from += stretch) {
    const part = points.slice(Math.floor(from), Math.floor(from + stretch));
    let low = 0;
    let high = 0;
    for (const [i, [, y]] of part.entries()) {
      if ((y as number) < (part[low][1] as number)) low = i;
      if ((y as number) > (part[high][1] as number)) high = i;
    }
    for (const i of [...new Set([low, high])].sort((a, b) => a - b)) if (part[i]) thinned.push(part[i]);
  }
  return thinned;
}

/** A description of the plot for screen readers. */
export function describePlot({ form, title, xLabel, yLabel, series }: Omit<PlotView, "kind" | "left">): string {
  const t = strings().tools;
  const axes = [xLabel && t.horizontal(xLabel), yLabel && t.vertical(yLabel)].filter(Boolean).join(" ");
  const heading = `${t.forms[form]}${title ? `: ${title}` : ""}.`;
  return [heading, axes, ...series.map(describeSeries)].filter(Boolean).join(" ");
}

function describeSeries({ name, points }: Series): string {
  const values = points.map(([, y]) => y).filter((y) => y !== null);
  const t = strings().tools;
  const count = t.points(points.length);
  if (!values.length) return `${name}: ${count}.`;
  const [low, high] = values.reduce(
    ([a, b], y) => [Math.min(a, y), Math.max(b, y)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
  return `${name}: ${t.range(count, formatTick(low), formatTick(high))}`;
}

/** A number as an axis shows it. */
export function formatTick(value: unknown): string {
  return typeof value === "number" ? strings().common.tick(value) : String(value);
}
