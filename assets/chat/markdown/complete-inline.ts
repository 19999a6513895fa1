// Closes what is open inline at the end of a text: bold, italic, code, links. Pure.
//
// Reads the last paragraph, item or cell from its beginning, by CommonMark's rules. Rules of its own:
//
// * What is shown is what the text becomes if the constructs that are open close as soon as they can.
// * A marker that most probably is none (`*.log`, a lone backtick before a space) opens nothing: completing it would
//   take away a character that comes back later.
// * A single underscore is as often part of a name as it is emphasis: what follows it waits for a moment for the other.
// * Nothing is added but the marks that close; no address is invented.

import { addressEnd, flanking } from "./syntax";

const HELD_BACK = 30; // characters behind an underscore that wait for the one that closes
const MAX_LINK_TEXT = 200;
const ITEM_OR_HEADING = /^[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*(?:#{1,6}[ \t]+|\[[ xX]\][ \t]+)?/;
const IMPLAUSIBLE_AFTER = /[.,/;:?!)\]}%=|]/;
// The beginning of a marker of a web search, and what it does not hold: it is looked for behind the last of these.
const OPEN_CITATIONS: [RegExp, string[]][] = [
  [/ ?\uE200[^\uE201]*$/, ["\uE201"]],
  [/ ?【\d*(?::\d*)?(?:†[^】\n]*)?$/, ["】", "\n"]],
];

interface Opener {
  marker: string;
  count: number;
  start: number;
  end: number;
  /** The index of the last opener before it, by marker. */
  before: { [marker: string]: number };
}

interface Scan {
  text: string;
  start: number;
  /** The text from here on is not shown yet. */
  cut: number;
  /** Ranges that are left out, in order: [start, end). */
  dropped: [number, number][];
  openers: Opener[];
  /** The marks that close the code at the end, or "". */
  code: string;
  pairs: Pairs;
}

/** What is looked for from many places, found in one pass. */
interface Pairs {
  /** Index of a bracket or a parenthesis -> that of its other. */
  closing: Map<number, number>;
  /** Index of a run of backticks -> that of the next one that is as long. */
  nextRun: Map<number, number>;
  /** Where the last single underscore is that closes. */
  lastUnderscore: number;
  lastLineEnd: number;
}

/** The text with everything closed, without markers at its end that nothing follows yet. */
export function completeInline(text: string): string {
  const shown = withoutOpenCitation(text).trimEnd();
  const start = leafStart(shown);
  const scan: Scan = {
    text: shown,
    start,
    cut: shown.length,
    dropped: [],
    openers: [],
    code: "",
    pairs: pairsOf(shown, start),
  };
  for (let at = start; at < scan.cut; ) at = step(scan, at);
  const end = scan.code ? scan.cut : withoutEmptyEnd(scan);
  const closers = scan.openers.toReversed().map(({ marker, count }) => marker.repeat(count));
  return shown.slice(0, start) + remaining(scan, end) + scan.code + closers.join("");
}

function withoutOpenCitation(text: string): string {
  let shown = text;
  for (const [begun, ends] of OPEN_CITATIONS) {
    const from = Math.max(...ends.map((end) => shown.lastIndexOf(end))) + 1;
    shown = shown.slice(0, from) + shown.slice(from).replace(begun, "");
  }
  return shown;
}

// The end of what is visible; openers that have nothing behind them are left out with it.
function withoutEmptyEnd({ text, start, cut, dropped, openers }: Scan): number {
  let end = cut;
  let last = dropped.length - 1;
  for (;;) {
    while (end > start && /\s/.test(text[end - 1])) end -= 1;
    while (last >= 0 && dropped[last][0] >= end) last -= 1;
    const opener = openers.at(-1);
    if (last >= 0 && dropped[last][1] >= end) end = dropped[last][0];
    else if (opener && opener.end >= end) {
      openers.pop();
      end = Math.min(end, opener.start);
    } else return end;
  }
}

function remaining({ text, start, dropped }: Scan, end: number): string {
  let rest = "";
  let at = start;
  for (const [from, to] of dropped) {
    if (from >= end) break;
    rest += text.slice(at, from);
    at = to;
  }
  return rest + text.slice(at, Math.max(at, end));
}

function pairsOf(text: string, start: number): Pairs {
  const closing = new Map<number, number>();
  const brackets: number[] = [];
  let parentheses: number[] = [];
  for (let at = start; at < text.length; at += 1) {
    const char = text[at];
    if (char === "\\") at += 1;
    else if (char === "[") brackets.push(at);
    else if (char === "(") parentheses.push(at);
    else if (char === "]" || char === ")") {
      const from = (char === "]" ? brackets : parentheses).pop();
      if (from !== undefined) closing.set(from, at);
    } else if (char === "\n") parentheses = [];
  }
  const lastUnderscore = lastClosingUnderscore(text, start);
  return { closing, nextRun: nextRuns(text, start), lastUnderscore, lastLineEnd: text.lastIndexOf("\n") };
}

function lastClosingUnderscore(text: string, start: number): number {
  // What the one at the very end does depends on what follows it.
  let at = text.lastIndexOf("_", text.length - 2);
  while (at > start && !flanking("_", text[at - 1], text[at + 1] ?? "").closes) at = text.lastIndexOf("_", at - 1);
  return at > start ? at : -1;
}

function nextRuns(text: string, start: number): Map<number, number> {
  const last = new Map<number, number>(); // length -> index of the last run
  const next = new Map<number, number>();
  for (let at = text.indexOf("`", start); at !== -1; ) {
    const { length } = runAt(text, at);
    const before = last.get(length);
    if (before !== undefined) next.set(before, at);
    last.set(length, at);
    at = text.indexOf("`", at + length);
  }
  return next;
}

// Where the last paragraph, item, heading or cell begins, behind its own markers.
function leafStart(text: string): number {
  let at = text.lastIndexOf("\n") + 1;
  let inTable = false;
  const lastLine = at;
  for (;;) {
    const line = lineAt(text, at);
    if (isTableRule(line)) inTable = true;
    const marks = ITEM_OR_HEADING.exec(line)?.[0] ?? "";
    const quotesOnly = !marks.replace(/[ \t>]/g, "");
    const before = at < 2 ? -1 : text.lastIndexOf("\n", at - 2) + 1;
    if (
      !quotesOnly ||
      before === -1 ||
      !lineAt(text, before)
        .replace(/^[ \t>]+/, "")
        .trim()
    ) {
      at += marks.length;
      break;
    }
    at = before;
  }
  if (!inTable && text[at] !== "|") return at;
  return Math.max(lastLine, lastBar(text, lastLine) + 1);
}

function lineAt(text: string, start: number): string {
  const end = text.indexOf("\n", start);
  return text.slice(start, end === -1 ? text.length : end);
}

function lastBar(text: string, from: number): number {
  let last = -1;
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === "|") last = at;
  }
  return last;
}

/** Whether a line is the second row of a table. */
export function isTableRule(line: string): boolean {
  return /^[ \t>|:-]*$/.test(line) && line.includes("|") && line.includes("-");
}

// Reads what stands at an index; returns the index behind it.
function step(scan: Scan, at: number): number {
  const { text, start } = scan;
  const char = text[at];
  if (char === "\\") {
    if (at + 1 === text.length) scan.cut = at;
    return at + 2;
  }
  if (char === "`") return readCode(scan, at);
  if (char === "<") return readTag(scan, at);
  if (char === "&") return readEntity(scan, at);
  if (char === "[") return readBracket(scan, at);
  if (char === "]") return addressBehind(scan, at);
  if (char === "!" && text[at + 1] === "[") return readImage(scan, at);
  // An image may begin here.
  if (char === "!" && at + 1 === text.length && (at === start || /\s/.test(text[at - 1]))) scan.cut = at;
  if (char === "*" || char === "_" || char === "~") return readMarkers(scan, at);
  if (/[hw]/i.test(char)) return Math.max(addressEnd(text, at), at + 1);
  return at + 1;
}

function readCode(scan: Scan, at: number): number {
  const { text, pairs } = scan;
  const marks = runAt(text, at);
  const from = at + marks.length;
  const closing = pairs.nextRun.get(at);
  if (closing !== undefined) return closing + marks.length;
  if (from === text.length) scan.cut = at;
  else if (marks.length > 1 || !/\s/.test(text[from])) {
    // The last backticks may be the first of those that close.
    let end = text.length;
    while (text[end - 1] === "`") end -= 1;
    scan.cut = text.slice(from, end).trim() ? end : at;
    if (scan.cut === end) scan.code = marks;
    return scan.cut;
  }
  return from;
}

// A tag or an address in angle brackets waits for its end; a tag is text.
function readTag(scan: Scan, at: number): number {
  const { text } = scan;
  let end = at + 1;
  while (end < text.length && !/[\s<>]/.test(text[end])) end += 1;
  if (end === text.length) scan.cut = at;
  const isAddress = text[end] === ">" && /^<[a-z][a-z0-9+.-]{1,31}:/i.test(text.slice(at, at + 34));
  return isAddress ? end : at + 1;
}

// The name of a character is not shown before it is one.
function readEntity(scan: Scan, at: number): number {
  if (/^&#?\w{0,31}$/.test(scan.text.slice(at, at + 35))) scan.cut = at;
  return at + 1;
}

function readImage(scan: Scan, at: number): number {
  const { text, pairs } = scan;
  const close = pairs.closing.get(at + 1);
  const end = close === undefined ? -1 : addressBehind(scan, close);
  if (close === undefined || close + 1 === text.length || end > text.length) scan.cut = at;
  return Math.max(at + 2, end);
}

// The text of a link is shown as it grows, its brackets and its address are not.
function readBracket(scan: Scan, at: number): number {
  const { text, pairs } = scan;
  const close = pairs.closing.get(at);
  const isNote = text[at + 1] === "^";
  if (close === undefined) {
    if (isNote) scan.cut = at;
    else if (text.length - at <= MAX_LINK_TEXT && !/^\[\s|[\n)]/.test(text.slice(at))) scan.dropped.push([at, at + 1]);
    return at + 1;
  }
  const end = addressBehind(scan, close);
  if (end > text.length || (close + 1 === text.length && !isNote)) {
    scan.dropped.push([at, at + 1]);
    scan.cut = Math.min(scan.cut, close);
  }
  return isNote && end <= text.length ? end : at + 1;
}

// The index behind "](address)" or "][label]"; beyond the text if it is not complete; behind the bracket if there is none.
function addressBehind({ text, pairs }: Scan, close: number): number {
  const opening = text[close + 1];
  if (opening !== "(" && opening !== "[") return close + 1;
  const end = pairs.closing.get(close + 1);
  if (end !== undefined) return end + 1;
  return pairs.lastLineEnd > close ? close + 1 : text.length + 1;
}

function readMarkers(scan: Scan, at: number): number {
  const { text, start, openers } = scan;
  const run = runAt(text, at);
  const marker = run[0];
  const end = at + run.length;
  const atEnd = end === text.length;
  if (marker === "~" && run.length !== 2 && !(atEnd && run.length === 1)) return end;
  const previous = at === start ? "" : text[at - 1];
  const { opens, closes } = flanking(marker, previous, text[end] ?? "");
  const left = closes ? close(openers, marker, run.length, atEnd) : run.length;
  if (!left) return end;
  // At the end it opens, or it is the first half of what closes.
  if (atEnd) scan.dropped.push([end - left, end]);
  if (atEnd || !opens || (left === 1 && IMPLAUSIBLE_AFTER.test(text[end]))) return end;
  if (marker === "_" && left === 1 && scan.pairs.lastUnderscore < end) {
    if (text.length - end <= HELD_BACK) scan.cut = end - 1;
    return end;
  }
  const last = openers.at(-1);
  const before = last ? { ...last.before, [last.marker]: openers.length - 1 } : {};
  openers.push({ marker, count: left, start: end - left, end, before });
  return end;
}

// The last opener with this marker, or -1. Each knows the last one of every marker before it: no search is longer than
// the text.
function lastOf(openers: Opener[], marker: string): number {
  const last = openers.at(-1);
  if (!last) return -1;
  return last.marker === marker ? openers.length - 1 : (last.before[marker] ?? -1);
}

// Closes the innermost openers that fit; returns how many markers are left.
function close(openers: Opener[], marker: string, count: number, atEnd: boolean): number {
  let left = count;
  while (left > 0) {
    const index = lastOf(openers, marker);
    const opener = openers[index];
    if (!opener || (atEnd && left < opener.count && left < 2 && opener.count !== 3)) return left;
    const used = Math.min(left, opener.count, 2);
    openers.length = index + 1;
    opener.count -= used;
    left -= used;
    if (!opener.count) openers.pop();
  }
  return 0;
}

function runAt(text: string, at: number): string {
  let end = at;
  while (text[end] === text[at]) end += 1;
  return text.slice(at, end);
}
