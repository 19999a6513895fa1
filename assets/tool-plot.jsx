// A plot, drawn by the chart library that Reflex ships. Loaded with the first plot of a page.

import { useState } from "react";
import {
  Area,
  AreaChart,
  Bar,
  BarChart,
  CartesianGrid,
  Legend,
  Line,
  LineChart,
  ResponsiveContainer,
  Scatter,
  ScatterChart,
  Tooltip,
  XAxis,
  YAxis,
} from "recharts";

import { described, MOST, rowsFor, short, thin } from "./tool-points.js";
import { Table } from "./tool-table.jsx";
import { clip } from "./tool-views.js";

const COLOURS = 6;
const HEIGHT = 260;
const DOTS = 40; // points up to which each has its dot
const CHARTS = { line: LineChart, bar: BarChart, area: AreaChart, scatter: ScatterChart };
const tick = { fill: "var(--soft)", fontSize: 12 };

export default function Plot({ view }) {
  const [numbers, setNumbers] = useState(false);
  const { title, series, left } = view;
  const { rows, numeric, thinned } = rowsFor(series);
  return (
    <figure className="plot">
      {title && (
        <figcaption>
          <bdi>{title}</bdi>
        </figcaption>
      )}
      <div className="chart" role="img" aria-label={described(view)}>
        <ResponsiveContainer width="100%" height={HEIGHT}>
          {chart(view, rows, numeric)}
        </ResponsiveContainer>
      </div>
      {(thinned || left > 0) && <p className="tool-nothing">{left > 0 ? `${left} more series are not drawn.` : "Some points are left out of the drawing."}</p>}
      <button type="button" className="quiet more" aria-expanded={numbers} onClick={() => setNumbers(!numbers)}>
        {numbers ? "Hide numbers" : "Show numbers"}
      </button>
      {numbers && <Numbers view={view} />}
    </figure>
  );
}

// The library looks at a chart's children by their kind, so they are made here and are no components of ours.
function chart({ form, xLabel, yLabel, series }, rows, numeric) {
  const Chart = CHARTS[form];
  const scaled = numeric && form !== "bar";
  const data = form === "scatter" ? {} : { data: rows };
  return (
    <Chart {...data} margin={{ top: 8, right: 16, bottom: xLabel ? 20 : 4, left: yLabel ? 12 : 0 }} accessibilityLayer={false}>
      <CartesianGrid stroke="var(--line)" vertical={false} />
      <XAxis
        dataKey="x"
        type={scaled ? "number" : "category"}
        domain={scaled ? ["dataMin", "dataMax"] : undefined}
        allowDuplicatedCategory={false}
        tick={tick}
        tickFormatter={(value) => clip(short(value), 14)}
        stroke="var(--line-strong)"
        minTickGap={16}
        label={xLabel ? { value: clip(xLabel, 60), position: "insideBottom", offset: -12, fill: "var(--soft)", fontSize: 12 } : undefined}
      />
      <YAxis
        dataKey={form === "scatter" ? "y" : undefined}
        type="number"
        tick={tick}
        tickFormatter={short}
        stroke="var(--line-strong)"
        width="auto"
        label={yLabel ? { value: clip(yLabel, 40), angle: -90, position: "insideLeft", fill: "var(--soft)", fontSize: 12, style: { textAnchor: "middle" } } : undefined}
      />
      <Tooltip isAnimationActive={false} labelFormatter={(value) => clip(short(value), 60)} contentStyle={boxed} cursor={{ stroke: "var(--line-strong)", fill: "var(--sunken)" }} />
      {series.length > 1 && <Legend verticalAlign="top" itemSorter={null} iconType={form === "line" ? "plainline" : "square"} wrapperStyle={{ paddingBottom: 8, fontSize: 13 }} />}
      {series.map((line, i) => drawn(form, line, i))}
    </Chart>
  );
}

const boxed = { background: "var(--raised)", border: "1px solid var(--line)", borderRadius: 8, color: "var(--text)", fontSize: 13 };

function drawn(form, { name, points }, i) {
  const colour = `var(--plot-${(i % COLOURS) + 1})`;
  const common = { name: clip(name, 40), isAnimationActive: false };
  const dot = points.length <= DOTS ? { r: 3, fill: colour, strokeWidth: 0 } : false;
  switch (form) {
    case "bar":
      return <Bar {...common} key={i} dataKey={`s${i}`} fill={colour} radius={[3, 3, 0, 0]} maxBarSize={48} />;
    case "area":
      return <Area {...common} key={i} dataKey={`s${i}`} stroke={colour} strokeWidth={2} fill={colour} fillOpacity={0.18} connectNulls />;
    case "scatter":
      return <Scatter {...common} key={i} data={thin(points, MOST).map(([x, y]) => ({ x, y }))} fill={colour} />;
    default:
      return <Line {...common} key={i} dataKey={`s${i}`} stroke={colour} strokeWidth={2} dot={dot} connectNulls />;
  }
}

function Numbers({ view: { series, xLabel, title } }) {
  const places = new Map();
  for (const [i, { points }] of series.entries()) {
    for (const [x, y] of points) {
      if (!places.has(x)) places.set(x, [x, ...series.map(() => null)]);
      places.get(x)[i + 1] = y;
    }
  }
  const label = `Numbers${title ? ` of ${title}` : ""}`;
  return <Table columns={[xLabel || "x", ...series.map((line) => line.name)]} rows={[...places.values()]} label={label} />;
}
