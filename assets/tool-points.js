// The points of a plot as the chart library wants them: rows with one column per series.
//
// Pure. Rules: columns are named by number, never by what a stranger called them; more points than can be seen are thinned,
// with the lowest and the highest of each stretch kept.

export const MOST = 600; // points of a series

// {rows, numeric, thinned}: rows are {x, s0, s1 …}; `numeric`: x is a number throughout.
export function rowsFor(series) {
  const numeric = series.every((line) => line.points.every(([x]) => Number.isFinite(x)));
  const rows = new Map();
  let thinned = false;
  for (const [i, line] of series.entries()) {
    const points = thin(line.points, MOST);
    thinned ||= points.length < line.points.length;
    for (const [x, y] of points) {
      const key = numeric ? x : String(x ?? "");
      if (!rows.has(key)) rows.set(key, { x: key });
      rows.get(key)[`s${i}`] = y;
    }
  }
  const list = [...rows.values()];
  if (numeric) list.sort((a, b) => a.x - b.x);
  return { rows: list, numeric, thinned };
}

export function thin(points, most) {
  if (points.length <= most) return points;
  const kept = [];
  const stretch = points.length / (most / 2);
  for (let from = 0; from < points.length; from += stretch) {
    const part = points.slice(Math.floor(from), Math.floor(from + stretch));
    let low = 0;
    let high = 0;
    for (const [i, point] of part.entries()) {
      if (point[1] < part[low][1]) low = i;
      if (point[1] > part[high][1]) high = i;
    }
    for (const i of [...new Set([low, high])].sort((a, b) => a - b)) if (part[i]) kept.push(part[i]);
  }
  return kept;
}

// What the plot shows, in words.
export function described({ form, title, xLabel, yLabel, series }) {
  const lines = series.map(({ name, points }) => {
    const values = points.map((point) => point[1]).filter((y) => y !== null);
    const count = `${points.length} ${points.length === 1 ? "point" : "points"}`;
    if (!values.length) return `${name}: ${count}.`;
    const [low, high] = values.reduce(([a, b], y) => [Math.min(a, y), Math.max(b, y)], [Infinity, -Infinity]);
    return `${name}: ${count}, from ${short(low)} to ${short(high)}.`;
  });
  const axes = [xLabel && `Across: ${xLabel}.`, yLabel && `Up: ${yLabel}.`].filter(Boolean).join(" ");
  const kinds = { line: "Line chart", bar: "Bar chart", area: "Area chart", scatter: "Scatter plot" };
  return [`${kinds[form]}${title ? `: ${title}` : ""}.`, axes, ...lines].filter(Boolean).join(" ");
}

// A number as an axis shows it.
export function short(value) {
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-4)) return value.toExponential(1);
  if (size >= 1e4) return value.toLocaleString("en", { notation: "compact", maximumFractionDigits: 1 });
  return value.toLocaleString("en", { maximumSignificantDigits: 5, useGrouping: false });
}
