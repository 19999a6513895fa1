// Completes the block that is still being written: no raw marker is shown of a construct that is not complete.
//
// Pure. Works on the open block only, and only on its end; a closed block is always rendered as it stands, so whatever
// is hidden here is shown later if it turns out to be plain text. `closeInline` is `remend`, which closes what is open
// inline (bold, italic, code, links). The ends of inline constructs are looked for from the end of the text, not by
// regular expressions: those would try every marker of a long run as a beginning, which takes quadratic time.

import type { RemendOptions } from "remend";

type CloseInline = (text: string, options?: RemendOptions) => string;

const OPTIONS = {
  katex: false,
  htmlTags: false,
  setextHeadings: false,
  comparisonOperators: false,
  singleTilde: false,
};
// A last line that is nothing but markers may become a rule, a heading's underline, a list item, a table's second row, a fence.
const QUOTES = /^[ \t]*(?:>[ \t]?)*/;
const MARKERS_ONLY = /^(?:[-=*_+#~`>|:]+|\d{1,9}[.)]?|(?:[-*_][ \t]*)+|\[[ xX]?\]?|!\[?|[-+*][ \t]+\[[ xX]?\]?)[ \t]*$/;
const DEFINING = /^ {0,3}\[[^\]\n]*(?:\](?::[^\n]*)?)?$/;
const CLOSING_FENCE = /^[ \t>]*(?:`+|~+)[ \t]*$/;
const TABLE_HEAD = /^[ \t]*\|(.*)$/;
const TABLE_RULE = /^[ \t]*\|?[ \t:|-]*$/;

/** The Markdown that is shown of a block that may still grow. */
export function completeMarkdown(text: string, closeInline: CloseInline): string {
  const lineStart = text.lastIndexOf("\n") + 1;
  const line = text.slice(lineStart);
  const before = text.slice(0, lineStart);
  if (insideFence(before)) return CLOSING_FENCE.test(line) ? before : text;
  const head = tableHead(before, line);
  if (head !== null) return asTable(completeInline(head, closeInline));
  if (line && (isMarkersOnly(line) || (!before.trim() && DEFINING.test(line)))) {
    return completeInline(before.trimEnd(), closeInline);
  }
  return completeInline(text, closeInline);
}

function isMarkersOnly(line: string): boolean {
  const quotes = QUOTES.exec(line)?.[0] ?? "";
  const rest = line.slice(quotes.length);
  return rest.trim() ? MARKERS_ONLY.test(rest) : quotes.includes(">");
}

function completeInline(text: string, closeInline: CloseInline): string {
  const trimmed = withoutOpenImage(text.trimEnd()).trimEnd();
  const start = trailingMarker(trimmed);
  if (start === -1) return closeInline(trimmed, OPTIONS);
  const marker = trimmed.slice(start);
  const without = trimmed.slice(0, start);
  // The marker may be the second half of a pair: then what stands before it is already closed without it.
  return closeInline(without.trimEnd() && closesPair(without, marker) ? trimmed : without, OPTIONS);
}

/** The text without an image at its end that is not complete: `![alt`, `![alt]` or `![alt](address`. */
function withoutOpenImage(text: string): string {
  const lineStart = text.lastIndexOf("\n") + 1;
  const lastParenthesis = text.lastIndexOf(")");
  let from = lineStart;
  for (let image = text.indexOf("![", from); image !== -1; image = text.indexOf("![", from)) {
    const close = text.indexOf("]", image + 2);
    const isOpen =
      close === -1 || close === text.length - 1 || (text[close + 1] === "(" && lastParenthesis < close + 2);
    if (isOpen) return text.slice(0, image);
    from = close + 1;
  }
  return text;
}

/** Where the inline markers at the very end begin, which nothing follows yet; -1 without any. */
function trailingMarker(text: string): number {
  const last = text[text.length - 1];
  let start = -1;
  if (last === "[") start = unescaped(text, text.length - (text[text.length - 2] === "!" ? 2 : 1));
  else if (last === "`") start = unescaped(text, runStart(text, "`"));
  else if (last !== undefined && "*_~".includes(last)) start = unescaped(text, runStart(text, "*_~"));
  // A tag or an address in angle brackets may end in any of these, and begins before them.
  for (let at = text.length - 1; at >= 0 && !/[\s>]/.test(text[at]); at -= 1) {
    if (text[at] === "<") return text[at - 1] === "\\" ? start : at;
  }
  return start;
}

function runStart(text: string, markers: string): number {
  let start = text.length;
  while (start > 0 && markers.includes(text[start - 1])) start -= 1;
  return start;
}

// A backslash escapes the first marker of a run; -1 if that is all of it.
function unescaped(text: string, start: number): number {
  if (text[start - 1] !== "\\") return start;
  return start + 1 < text.length ? start + 1 : -1;
}

function closesPair(without: string, marker: string): boolean {
  return "*_~`".includes(marker[0]) && !/\s$/.test(without) && without.includes(marker);
}

// The first row of a table, which is shown as one from its first cell on: a line that begins with "|".
function tableHead(before: string, line: string): string | null {
  const head = before.trimEnd();
  if (!head && TABLE_HEAD.test(line)) return line;
  if (head && !head.includes("\n") && TABLE_HEAD.test(head) && TABLE_RULE.test(line)) return head;
  return null;
}

function asTable(head: string): string {
  const row = head.trim().replace(/^\|/, "").replace(/\|$/, "");
  if (!row.trim()) return "";
  const cells = row.split(/(?<!\\)\|/);
  return `|${cells.join("|")}|\n|${cells.map(() => "---|").join("")}`;
}

function insideFence(text: string): boolean {
  let fence: string | null = null;
  for (const match of text.matchAll(/^[ \t>]*(?:(?:[-+*]|\d+[.)])[ \t]+)?(`{3,}|~{3,})(.*)$/gm)) {
    const [, marks, info] = match;
    if (!fence) fence = marks;
    else if (marks[0] === fence[0] && marks.length >= fence.length && !info.trim()) fence = null;
  }
  return fence !== null;
}
