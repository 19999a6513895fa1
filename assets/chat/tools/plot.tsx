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
import { ErrorBoundary } from "../common/error-boundary";
import { strings, useStrings } from "../common/strings";
import type { Json } from "../store/frames";
import { describePlot, formatTick, MAX_POINTS, type Row, rowsFor, thin } from "./plot-points";
import { Table } from "./table";
import { clip, type PlotView, type Scalar, type Series } from "./values";

const COLOURS = 6;
const HEIGHT = 260;
const MAX_DOTS = 40; // points up to which each has its dot
const CHARTS = { line: LineChart, bar: BarChart, area: AreaChart, scatter: ScatterChart };
const TICK = { fill: "var(--soft)", fontSize: 12 };
const LABEL = { fill: "var(--soft)", fontSize: 12 };
const TOOLTIP = {
  background: "var(--raised)",
  border: "1px solid var(--line)",
  borderRadius: 8,
  color: "var(--text)",
  fontSize: 13,
};

export default function Plot({ view }: { view: PlotView }) {
  const t = useStrings().tools;
  return (
    <ErrorBoundary text={view.title || t.plotBroken}>
      <Figure view={view} />
    </ErrorBoundary>
  );
}

function Figure({ view }: { view: PlotView }) {
  const t = useStrings().tools;
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
      <div className="chart" role="img" aria-label={describePlot(view)}>
        <ResponsiveContainer width="100%" height={HEIGHT}>
          {chart(view, rows, numeric)}
        </ResponsiveContainer>
      </div>
      {(thinned || left > 0) && <p className="tool-nothing">{left > 0 ? t.seriesLeft(left) : t.pointsLeft}</p>}
      <button type="button" className="quiet more" aria-expanded={numbers} onClick={() => setNumbers(!numbers)}>
        {numbers ? t.hideNumbers : t.showNumbers}
      </button>
      {numbers && <Numbers view={view} />}
    </figure>
  );
}

// The library looks at a chart's children by their type, so they are made here and are no components of ours.
function chart({ form, xLabel, yLabel, series }: PlotView, rows: Row[], numeric: boolean) {
  const Chart = CHARTS[form];
  const scaled = numeric && form !== "bar";
  const data = form === "scatter" ? {} : { data: rows };
  const below = { ...LABEL, value: clip(xLabel, 60), position: "insideBottom" as const, offset: -12 };
  const beside = {
    ...LABEL,
    value: clip(yLabel, 40),
    angle: -90,
    position: "insideLeft" as const,
    style: { textAnchor: "middle" as const },
  };
  return (
    <Chart
      {...data}
      margin={{ top: 8, right: 16, bottom: xLabel ? 20 : 4, left: yLabel ? 12 : 0 }}
      accessibilityLayer={false}
    >
      <CartesianGrid stroke="var(--line)" vertical={false} />
      <XAxis
        dataKey="x"
        type={scaled ? "number" : "category"}
        domain={scaled ? ["dataMin", "dataMax"] : undefined}
        allowDuplicatedCategory={false}
        tick={TICK}
        tickFormatter={(value) => clip(formatTick(value), 14)}
        stroke="var(--line-strong)"
        minTickGap={16}
        label={xLabel ? below : undefined}
      />
      <YAxis
        dataKey={form === "scatter" ? "y" : undefined}
        type="number"
        tick={TICK}
        tickFormatter={formatTick}
        allowDecimals={!isCounted(series)}
        stroke="var(--line-strong)"
        width="auto"
        label={yLabel ? beside : undefined}
      />
      <Tooltip
        isAnimationActive={false}
        labelFormatter={(value) => clip(formatTick(value), 60)}
        formatter={(value) => (typeof value === "number" ? strings().common.decimal(value) : value)}
        contentStyle={TOOLTIP}
        cursor={{ stroke: "var(--line-strong)", fill: "var(--sunken)" }}
      />
      {series.length > 1 && (
        <Legend
          verticalAlign="top"
          itemSorter={null}
          iconType={form === "line" ? "plainline" : "square"}
          wrapperStyle={{ paddingBottom: 8, fontSize: 13 }}
        />
      )}
      {series.map((line, i) => drawSeries(form, line, i))}
    </Chart>
  );
}

// Whether all heights are whole numbers: half an answer means nothing.
function isCounted(series: Series[]): boolean {
  return series.every(({ points }) => points.every(([, y]) => Number.isInteger(y)));
}

function drawSeries(form: PlotView["form"], { name, points }: Series, i: number) {
  const colour = `var(--plot-${(i % COLOURS) + 1})`;
  const common = { name: clip(name, 40), isAnimationActive: false };
  const column = `s${i}`;
  switch (form) {
    case "bar":
      return <Bar {...common} key={i} dataKey={column} fill={colour} radius={[3, 3, 0, 0]} maxBarSize={48} />;
    case "area":
      return (
        <Area
          {...common}
          key={i}
          dataKey={column}
          stroke={colour}
          strokeWidth={2}
          fill={colour}
          fillOpacity={0.18}
          connectNulls
        />
      );
    case "scatter":
      return <Scatter {...common} key={i} data={thin(points, MAX_POINTS).map(([x, y]) => ({ x, y }))} fill={colour} />;
    case "line": {
      const dot = points.length <= MAX_DOTS ? { r: 3, fill: colour, strokeWidth: 0 } : false;
      return <Line {...common} key={i} dataKey={column} stroke={colour} strokeWidth={2} dot={dot} connectNulls />;
    }
  }
}

function Numbers({ view: { series, xLabel, title } }: { view: PlotView }) {
  const { tools: t, common } = useStrings();
  const rows = new Map<Scalar, Json[]>();
  for (const [i, { points }] of series.entries()) {
    for (const [x, y] of points) {
      const row = rows.get(x) ?? [x, ...series.map(() => null)];
      rows.set(x, row);
      row[i + 1] = y;
    }
  }
  const label = title ? t.numbersOf(title) : t.numbers;
  const columns = [xLabel || "x", ...series.map((line) => line.name)];
  return <Table columns={columns} rows={[...rows.values()]} label={label} number={common.decimal} />;
}
