// How the values of a tool call are shown: labels, sizes, durations, and which view a result asks for.
//
// Pure. All input is data of strangers: what does not have the right shape is shown as plain JSON.

import { PICTURE_TYPES } from "../common/picture-types";
import { strings } from "../common/strings";
import type { ImagePart, Json } from "../store/frames";

export type JsonObject = { [name: string]: Json };
export type Scalar = null | boolean | number | string;

const MAX_SERIES = 20;
const MAX_DEPTH = 100;
const MAX_COLUMNS = 12;
// Marks that reverse the direction of text, and characters without a width. The joiners of emoji are not among them.
const INVISIBLE = /[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/u;
const ACRONYMS: ReadonlySet<string> = new Set(
  ["api", "css", "csv", "html", "http", "id", "ip", "json", "pdf", "sql", "ui", "uri", "url", "utc", "xml"], //
);

/** Characters from which on a result is folded at first. */
export const LARGE = 20 * 1024;

export function isObject(value: unknown): value is JsonObject {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

export function isScalar(value: unknown): value is Scalar {
  return value === null || typeof value !== "object";
}

/** "max_results" and "maxResults" are both "Max Results". */
export function labelOf(name: string): string {
  const words = name
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .split(/[\s_-]+/)
    .filter(Boolean);
  const label = words
    .map((word) => (ACRONYMS.has(word.toLowerCase()) ? word.toUpperCase() : capitalise(word)))
    .join(" ");
  return clip(label || name, 120);
}

function capitalise(word: string): string {
  return word[0].toUpperCase() + word.slice(1);
}

/** The text, or its beginning and "…". */
export function clip(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, characterEnd(text, length))}…` : text;
}

// The last index not after `length` that does not cut a surrogate pair in two.
function characterEnd(text: string, length: number): number {
  const last = text.charCodeAt(length - 1);
  return last >= 0xd800 && last < 0xdc00 ? length - 1 : length;
}

/** The part of a long text that is shown at first; all of it if little more would be hidden. */
export function beginning(text: string, characters: number, lines: number): string {
  let end = Math.min(text.length, characters);
  let at = -1;
  for (let line = 0; line < lines; line += 1) {
    at = text.indexOf("\n", at + 1);
    if (at === -1 || at >= end) break;
    if (line === lines - 1) end = at;
  }
  const rest = text.length - end;
  const little = rest <= characters / 4 && text.slice(end).split("\n").length < lines / 3;
  return little ? text : text.slice(0, characterEnd(text, end));
}

export function hasInvisible(text: string): boolean {
  return INVISIBLE.test(text);
}

/** "12 characters", "2.0 KB". */
export function formatSize(length: number): string {
  const { tools, common } = strings();
  if (length < 1024) return tools.characters(length);
  const kb = length / 1024;
  return kb < 1024 ? `${common.fixed(kb, kb < 10 ? 1 : 0)} KB` : `${common.fixed(kb / 1024, 1)} MB`;
}

/** "3 ms", "1.2 s", "1 min 30 s"; "" if it is no duration. */
export function formatDuration(ms: unknown): string {
  if (typeof ms !== "number" || !(ms >= 0)) return "";
  if (ms < 95) return `${Math.max(1, Math.round(ms))} ms`;
  const tenths = Math.round(ms / 100);
  if (tenths < 100) return `${strings().common.fixed(tenths / 10, 1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** JSON as indented text; a sentence if it is too deep to be read. */
export function formatJson(value: unknown): string {
  return isDeep(value, MAX_DEPTH) ? strings().tools.tooDeep : (JSON.stringify(value, null, 2) ?? "");
}

function isDeep(value: unknown, left: number): boolean {
  if (isScalar(value) || value === undefined) return false;
  return left === 0 || Object.values(value as object).some((item) => isDeep(item, left - 1));
}

/** A point of a series: x, y. */
export type Point = [Scalar, number | null];

export interface Series {
  name: string;
  points: Point[];
}

export interface PlotView {
  kind: "plot";
  form: "line" | "bar" | "area" | "scatter";
  title: string;
  xLabel: string;
  yLabel: string;
  series: Series[];
  /** How many series are not drawn. */
  left: number;
}

export type ResultView =
  | { kind: "text"; text: string }
  | { kind: "table"; columns: string[]; rows: Json[][] }
  | { kind: "image"; picture: ImagePart }
  | { kind: "content"; items: ResultView[] }
  | { kind: "json"; value: Json; size: number }
  | PlotView;

/** How a result is shown: as what it says it is in `$view`, if it has the right shape. */
export function resultView(result: Json): ResultView {
  if (typeof result === "string") return { kind: "text", text: result };
  const view = isObject(result) ? namedView(result) : null;
  return view ?? { kind: "json", value: result, size: formatJson(result).length };
}

function namedView(result: JsonObject): ResultView | null {
  switch (result.$view) {
    case "table":
      return tableView(result);
    case "image":
      return imageView(result);
    case "plot":
      return plotView(result);
    case "content":
      return contentView(result);
    default:
      return null;
  }
}

function tableView({ columns, rows }: JsonObject): ResultView | null {
  if (!Array.isArray(columns) || !Array.isArray(rows) || !rows.every(Array.isArray)) return null;
  return { kind: "table", columns: columns.map(formatCell), rows: rows as Json[][] };
}

// Its bytes, in a message from before pictures were stored, or the name of its file.
function imageView({ media_type, data, file_id, name, width, height }: JsonObject): ResultView | null {
  if (typeof media_type !== "string" || !PICTURE_TYPES.has(media_type)) return null;
  const picture: ImagePart = { type: "image", media_type, name: typeof name === "string" ? name : "" };
  if (typeof file_id === "string" && /^[\w~-]{1,64}$/.test(file_id)) {
    const size = (value: Json | undefined) => (typeof value === "number" && value > 0 ? value : undefined);
    return { kind: "image", picture: { ...picture, file_id, width: size(width), height: size(height) } };
  }
  if (typeof data !== "string" || !/^[A-Za-z\d+/]+={0,2}$/.test(data)) return null;
  return { kind: "image", picture: { ...picture, data } };
}

function contentView({ items }: JsonObject): ResultView | null {
  if (!Array.isArray(items) || items.some((item) => isObject(item) && item.$view === "content")) return null;
  return { kind: "content", items: items.map(resultView) };
}

function plotView({ kind, title, x_label, y_label, series }: JsonObject): ResultView | null {
  if (kind !== "line" && kind !== "bar" && kind !== "area" && kind !== "scatter") return null;
  if (!Array.isArray(series) || !series.length) return null;
  const shown = series.slice(0, MAX_SERIES).map(seriesOf);
  if (shown.includes(null)) return null;
  const label = (text: Json | undefined) => (typeof text === "string" ? clip(text, 200) : "");
  return {
    kind: "plot",
    form: kind,
    title: label(title),
    xLabel: label(x_label),
    yLabel: label(y_label),
    series: shown as Series[],
    left: series.length - shown.length,
  };
}

function seriesOf(series: Json, index: number): Series | null {
  if (!isObject(series) || !Array.isArray(series.points) || !series.points.every(isPoint)) return null;
  const name = formatCell(series.name ?? "") || strings().tools.series(index + 1);
  return { name: clip(name, 80), points: series.points as Point[] };
}

function isPoint(point: Json): boolean {
  if (!Array.isArray(point) || point.length !== 2) return false;
  return isScalar(point[0]) && (point[1] === null || Number.isFinite(point[1]));
}

/** A value in a cell of a table, on one line. */
export function formatCell(value: Json | undefined): string {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "";
  return isScalar(value) ? String(value) : formatJson(value).replace(/\s+/g, " ");
}

/** A list of objects of one shape as a table; `null` if it is none. */
export function tableOf(list: Json[]): { columns: string[]; rows: Json[][] } | null {
  if (list.length < 2 || !list.every((item) => isObject(item) && Object.values(item).every(isScalar))) return null;
  const objects = list as JsonObject[];
  const columns = Object.keys(objects[0]);
  const alike = (item: JsonObject) =>
    Object.keys(item).length === columns.length && columns.every((name) => Object.hasOwn(item, name));
  if (!columns.length || columns.length > MAX_COLUMNS || !objects.every(alike)) return null;
  return { columns, rows: objects.map((item) => columns.map((name) => item[name])) };
}
