import { expect, test } from "bun:test";
import type { Json } from "../../assets/chat/store/frames";
import { describePlot, MAX_POINTS, rowsFor, thin } from "../../assets/chat/tools/plot-points";
import {
  beginning,
  formatDuration,
  formatJson,
  formatSize,
  hasInvisible,
  type JsonObject,
  labelOf,
  type PlotView,
  type Point,
  resultView,
  type Series,
  tableOf,
} from "../../assets/chat/tools/values";

const plotOf = (result: Json): PlotView => {
  const view = resultView(result);
  if (view.kind !== "plot") throw new Error(`this is shown as ${view.kind}`);
  return view;
};
const plot = (more: JsonObject = {}): Json => ({
  $view: "plot",
  kind: "line",
  title: "T",
  x_label: "x",
  y_label: "y",
  series: [
    {
      name: "a",
      points: [
        [0, 1],
        [1, 3],
      ],
    },
  ],
  ...more,
});

test("names become labels", () => {
  expect(["max_results", "maxResults", "url", "a", "", "__", "名前"].map(labelOf)).toEqual([
    "Max Results",
    "Max Results",
    "URL",
    "A",
    "",
    "__",
    "名前",
  ]);
  expect(labelOf("x".repeat(50_000)).length).toBeLessThan(200);
});

test("durations and sizes in words", () => {
  expect([0, 3, 96, 1234, 9949, 9960, 30_012, 90_210].map(formatDuration)).toEqual([
    "1 ms",
    "3 ms",
    "0.1 s",
    "1.2 s",
    "9.9 s",
    "10 s",
    "30 s",
    "1 min 30 s",
  ]);
  expect([undefined, null, "7", -1, NaN].map(formatDuration)).toEqual(["", "", "", "", ""]);
  expect([12, 2048, 52_000, 3_000_000].map(formatSize)).toEqual(["12 characters", "2.0 KB", "51 KB", "2.9 MB"]);
});

test("the beginning of a long text is short, ends at no half character, and hides no two words", () => {
  expect(beginning("short", 100, 5)).toBe("short");
  expect(beginning("x".repeat(110), 100, 5)).toBe("x".repeat(110));
  expect(beginning("x".repeat(1000), 100, 5)).toBe("x".repeat(100));
  expect(beginning("👍".repeat(1000), 101, 5)).toBe("👍".repeat(50));
  expect(beginning("a\n".repeat(100), 1000, 5)).toBe("a\na\na\na\na");
});

test("a result is shown as what it says it is, if it is", () => {
  expect(resultView("text")).toEqual({ kind: "text", text: "text" });
  expect(resultView({ $view: "table", columns: ["a"], rows: [[1]] })).toEqual({
    kind: "table",
    columns: ["a"],
    rows: [[1]],
  });
  expect(resultView({ $view: "image", media_type: "image/png", data: "QUJD", name: "A" })).toEqual({
    kind: "image",
    picture: { type: "image", media_type: "image/png", data: "QUJD", name: "A" },
  });
  expect(resultView({ $view: "image", media_type: "image/png", file_id: "f-1", width: 3, height: "x" })).toEqual({
    kind: "image",
    picture: { type: "image", media_type: "image/png", name: "", file_id: "f-1", width: 3, height: undefined },
  });
  expect(resultView({ $view: "content", items: ["a", { b: 1 }] })).toEqual({
    kind: "content",
    items: [
      { kind: "text", text: "a" },
      { kind: "json", value: { b: 1 }, size: 12 },
    ],
  });
  expect(plotOf(plot()).series).toEqual([
    {
      name: "a",
      points: [
        [0, 1],
        [1, 3],
      ],
    },
  ]);
});

test("what has another shape is plain JSON", () => {
  const wrong: Json[] = [
    { $view: "table", columns: "a", rows: [] },
    { $view: "table", columns: [], rows: [1] },
    { $view: "image", media_type: "image/svg+xml", data: "QUJD" },
    { $view: "image", media_type: "text/html", data: "QUJD" },
    { $view: "image", media_type: "image/png", data: "https://evil.example/x.png" },
    { $view: "image", media_type: "image/png" },
    { $view: "image", media_type: "image/png", file_id: "../x" },
    { $view: "content", items: "x" },
    { $view: "content", items: [{ $view: "content", items: [] }] },
    { $view: "constructor" },
    { $view: "__proto__" },
    { $view: {} },
    { $view: "iframe", src: "https://evil.example/" },
    plot({ kind: "pie" }),
    plot({ series: [] }),
    plot({ series: [{ points: [[0, "1"]] }] }),
    plot({ series: [{ points: [[{}, 1]] }] }),
    plot({ series: [null] }),
    plot({ series: "x" }),
    7,
    null,
    [1],
    true,
  ];
  for (const result of wrong) expect(resultView(result).kind).toBe("json");
});

test("JSON that is too deep has a sentence", () => {
  let deep: Json = 1;
  for (let i = 0; i < 200_000; i += 1) deep = [deep];
  expect(formatJson(deep)).toContain("too deep");
});

test("rows of one shape are a table", () => {
  expect(
    tableOf([
      { a: 1, b: "x" },
      { b: "y", a: 2 },
    ]),
  ).toEqual({
    columns: ["a", "b"],
    rows: [
      [1, "x"],
      [2, "y"],
    ],
  });
  const none: Json[][] = [[{ a: 1 }], [{ a: 1 }, { b: 1 }], [{ a: 1 }, { a: [1] }], [{}, {}], [1, 2]];
  for (const list of none) expect(tableOf(list)).toBeNull();
});

test("characters that cannot be seen are noticed, and emoji are none", () => {
  expect(["a\u202eb", "a\u200bb", "\u2066x", "a\u{e0041}"].every(hasInvisible)).toBe(true);
  expect(["plain", "👩‍👩‍👧‍👦", "नमस्ते", "می‌خواهم", "שלום"].some(hasInvisible)).toBe(false);
});

test("series share their rows, and names of strangers are no columns", () => {
  const named: Series[] = [
    {
      name: "a.b",
      points: [
        [2, 20],
        [1, 10],
      ],
    },
    { name: "__proto__", points: [[1, 5]] },
  ];
  const { rows, numeric } = rowsFor(named);
  expect([rows, numeric]).toEqual([
    [
      { x: 1, s0: 10, s1: 5 },
      { x: 2, s0: 20 },
    ],
    true,
  ]);
  expect(
    rowsFor([
      {
        points: [
          ["Jan", 1],
          ["Feb", 2],
        ],
      },
    ]).rows,
  ).toEqual([
    { x: "Jan", s0: 1 },
    { x: "Feb", s0: 2 },
  ]);
});

test("too many points are thinned, the peaks stay", () => {
  const points = Array.from({ length: 50_000 }, (_, i): Point => [i, i === 31_234 ? 9 : i === 77 ? -9 : 0]);
  const kept = thin(points, MAX_POINTS);
  expect(kept.length).toBeLessThanOrEqual(MAX_POINTS);
  expect(kept.map((point) => point[1])).toContain(9);
  expect(kept.map((point) => point[1])).toContain(-9);
  const places = kept.map(([x]) => x as number);
  expect(places).toEqual(places.toSorted((a, b) => a - b));
});

test("a plot is told in words", () => {
  expect(describePlot(plotOf(plot()))).toBe("Line chart: T. Horizontal: x. Vertical: y. a: 2 points, from 1 to 3.");
  expect(describePlot(plotOf(plot({ title: 3, series: [{ points: [] }] })))).toBe(
    "Line chart. Horizontal: x. Vertical: y. Series 1: 0 points.",
  );
});
