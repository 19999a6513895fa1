// What is shown of a tool call's values: labels, sizes, durations, and what kind of view a result asks for.
//
// Pure. Whatever it is given is data of strangers: what does not have the right shape is shown as plain JSON.

const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const KINDS = new Set(["line", "bar", "area", "scatter"]);
const SERIES = 20;
const DEEPEST = 100;
// Marks that turn the direction of text around, and characters without a width. Joiners, which emoji are made with, are none.
const UNSEEN = /[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/u;

export const LARGE = 20 * 1024; // characters of a result that is not shown at once

export const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
export const isScalar = (value) => value === null || typeof value !== "object";

const SHORT = new Set(["api", "css", "csv", "html", "http", "id", "ip", "json", "pdf", "sql", "ui", "uri", "url", "utc", "xml"]);

// "max_results" and "maxResults" are both "Max Results".
export function labelOf(name) {
  const words = String(name)
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .split(/[\s_\-]+/)
    .filter(Boolean);
  const label = words.map((word) => (SHORT.has(word.toLowerCase()) ? word.toUpperCase() : word[0].toUpperCase() + word.slice(1))).join(" ");
  return clip(label || String(name), 120);
}

export function clip(text, length) {
  return text.length > length ? `${text.slice(0, whole(text, length))}…` : text;
}

// The longest beginning that is not longer than `length` and does not cut a character in two.
export function whole(text, length) {
  const last = text.charCodeAt(length - 1);
  return last >= 0xd800 && last < 0xdc00 ? length - 1 : length;
}

// What of a long text is shown at first; all of it where little more would be hidden.
export function beginning(text, characters, lines) {
  let end = Math.min(text.length, characters);
  let at = -1;
  for (let line = 0; line < lines; line += 1) {
    at = text.indexOf("\n", at + 1);
    if (at === -1 || at >= end) break;
    if (line === lines - 1) end = at;
  }
  const rest = text.length - end;
  return rest <= characters / 4 && text.slice(end).split("\n").length < lines / 3 ? text : text.slice(0, whole(text, end));
}

export function hasUnseen(text) {
  return UNSEEN.test(text);
}

export function sizeWords(length) {
  if (length < 1024) return `${length} characters`;
  const kb = length / 1024;
  return kb < 1024 ? `${kb < 10 ? kb.toFixed(1) : Math.round(kb)} KB` : `${(kb / 1024).toFixed(1)} MB`;
}

export function durationWords(ms) {
  if (typeof ms !== "number" || !(ms >= 0)) return "";
  if (ms < 95) return `${Math.max(1, Math.round(ms))} ms`;
  const tenths = Math.round(ms / 100);
  if (tenths < 100) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

// JSON as indented text; a sentence where it is too deep to be read.
export function written(value) {
  return isDeep(value, DEEPEST) ? "(nested too deeply to be shown)" : (JSON.stringify(value, null, 2) ?? "");
}

function isDeep(value, left) {
  return !isScalar(value) && (left === 0 || Object.values(value).some((item) => isDeep(item, left - 1)));
}

// {kind: "text", text} | {kind: "table", columns, rows} | {kind: "image", source, name} | {kind: "plot", …} | {kind: "json", value, size}
export function resultView(result) {
  if (typeof result === "string") return { kind: "text", text: result };
  const view = isObject(result) ? VIEWS[result.$view]?.(result) : null;
  return view ?? { kind: "json", value: result, size: written(result).length };
}

const VIEWS = {
  __proto__: null,
  table({ columns, rows }) {
    if (!Array.isArray(columns) || !Array.isArray(rows) || !rows.every(Array.isArray)) return null;
    return { kind: "table", columns: columns.map(cellText), rows };
  },
  image({ media_type, data, name }) {
    if (!PICTURES.has(media_type) || typeof data !== "string" || !/^[A-Za-z\d+/]+={0,2}$/.test(data)) return null;
    return { kind: "image", source: `data:${media_type};base64,${data}`, name: typeof name === "string" ? name : "" };
  },
  plot({ kind, title, x_label, y_label, series }) {
    if (!KINDS.has(kind) || !Array.isArray(series) || !series.length) return null;
    const lines = series.slice(0, SERIES).map(lineOf);
    if (lines.includes(null)) return null;
    const words = (text) => (typeof text === "string" ? clip(text, 200) : "");
    return { kind: "plot", form: kind, title: words(title), xLabel: words(x_label), yLabel: words(y_label), series: lines, left: series.length - lines.length };
  },
};

function lineOf(line, index) {
  if (!isObject(line) || !Array.isArray(line.points)) return null;
  const right = line.points.every(
    (point) => Array.isArray(point) && point.length === 2 && isScalar(point[0]) && (point[1] === null || Number.isFinite(point[1])),
  );
  return right ? { name: clip(cellText(line.name ?? "") || `Series ${index + 1}`, 80), points: line.points } : null;
}

export function cellText(value) {
  if (typeof value === "string") return value;
  return value === null || value === undefined ? "" : isScalar(value) ? String(value) : written(value).replace(/\s+/g, " ");
}

// The columns of rows that are objects of one shape, `null` where they are not.
export function rowsOf(list) {
  if (list.length < 2 || !list.every((item) => isObject(item) && Object.values(item).every(isScalar))) return null;
  const columns = Object.keys(list[0]);
  const alike = (item) => Object.keys(item).length === columns.length && columns.every((name) => Object.hasOwn(item, name));
  if (!columns.length || columns.length > 12 || !list.every(alike)) return null;
  return { columns, rows: list.map((item) => columns.map((name) => item[name])) };
}
