// Completes the block that is still being written: no raw marker is shown of a construct that is not complete.
//
// Pure. Works on the open block only, and only on its end; a closed block is always rendered as it stands, so whatever
// is hidden here is shown later if it turns out to be plain text. `complete-inline.ts` closes what is open inline; here
// are the constructs that take lines: code, tables, headings, lists, rules.

import { completeInline, isTableRule } from "./complete-inline";

// A last line that is nothing but markers may become a rule, a heading's underline, a list item, a table's second row, a fence.
const QUOTES = /^[ \t]*(?:>[ \t]?)*/;
const MARKERS_ONLY = /^(?:[-=*_+#~`>|:]+|\d{1,9}[.)]?|(?:[-*_][ \t]*)+|\[[ xX]?\]?|!\[?|[-+*][ \t]+\[[ xX]?\]?)[ \t]*$/;
const DEFINING = /^ {0,3}\[[^\]\n]*(?:\](?::[^\n]*)?)?$/;
const CLOSING_FENCE = /^[ \t>]*(?:`+|~+)[ \t]*$/;
// The beginning of a table's second row.
const RULE_BEGINS = /^[ \t>|:-]*$/;

/** The Markdown that is shown of a block that may still grow. */
export function completeMarkdown(text: string): string {
  const lineStart = text.lastIndexOf("\n") + 1;
  const line = text.slice(lineStart);
  const before = text.slice(0, lineStart);
  if (insideFence(before)) return CLOSING_FENCE.test(line) ? before : text;
  const table = tableHead(before, line);
  if (table) return table.before + asTable(table.indent, completeInline(table.head));
  if (line && (isMarkersOnly(line) || (!before.trim() && DEFINING.test(line)))) {
    return completeInline(before.trimEnd());
  }
  return completeInline(text);
}

function isMarkersOnly(line: string): boolean {
  const quotes = QUOTES.exec(line)?.[0] ?? "";
  const rest = line.slice(quotes.length);
  return rest.trim() ? MARKERS_ONLY.test(rest) : quotes.includes(">");
}

interface TableHead {
  before: string;
  /** White space and the marks of quotes before the row. */
  indent: string;
  head: string;
}

// The first row of a table, which is shown as one from its first cell on. It is the last line, or the one before a line
// that may become the table's second row.
function tableHead(before: string, line: string): TableHead | null {
  const isRule = RULE_BEGINS.test(line);
  const start = isRule ? before.lastIndexOf("\n", before.length - 2) + 1 : before.length;
  const above = before.slice(0, start);
  const row = isRule ? before.slice(start).trimEnd() : line;
  const paragraph = above.slice(blankLineEnd(above)).trim();
  if (!isHead(row, !paragraph) || isTableRule(row) || hasTable(paragraph)) return null;
  const indent = /^[ \t>]*/.exec(row)?.[0] ?? "";
  return { before: above, indent, head: row.slice(indent.length) };
}

// A row begins with a bar. Before any other text of its paragraph it may have its first bar later, outside of code.
function isHead(row: string, first: boolean): boolean {
  const text = row.replace(/^[ \t>]*/, "");
  if (text.startsWith("|")) return text.length > 1;
  return first && /[^\\|]\|(?!\|)/.test(text.replace(/`[^`]*`?/g, "`"));
}

function hasTable(paragraph: string): boolean {
  return paragraph.split("\n").some(isTableRule);
}

// Where the last paragraph begins: behind the last blank line.
function blankLineEnd(text: string): number {
  let end = 0;
  for (const match of text.matchAll(/^[ \t>]*\n/gm)) end = match.index + match[0].length;
  return end;
}

function asTable(indent: string, head: string): string {
  const row = head.trim().replace(/^\|/, "").replace(/\|$/, "");
  if (!row.trim()) return "";
  const cells = row.split(/(?<!\\)\|/);
  return `${indent}|${cells.join("|")}|\n${indent}|${cells.map(() => "---|").join("")}`;
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
