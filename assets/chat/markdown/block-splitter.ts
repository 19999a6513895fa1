// Splits growing Markdown into top-level blocks, one line at a time.
//
// Knows nothing of React, of HTML, or of how a block is rendered. Rules:
//
// * A cut is made only where CommonMark allows no other reading, whatever follows. So a closed block never changes
//   again, the number of blocks never falls, and feeding the text at once or in any pieces gives the same blocks.
// * If a cut is not certain the lines stay together: a block may hold several constructs, and still renders correctly.
// * The cost of an append is that of the appended text.
// * The blocks joined are the text (line ends written as "\n").
// * Raw HTML is text here, as it is when blocks are rendered: HTML blocks are no constructs of their own.
//
// * A long table is several blocks: its head with the first rows, and then so many rows each. There, a line that does not
//   begin with a bar is no row.
//
// Definitions of references and footnotes are collected for `references.ts`.

import { closesFence, opensInnerFence } from "./code-fence";
import { isTableRule } from "./complete-inline";
import { labelsOf, normaliseLabel, STUB } from "./references";
import { MAX_TEX, opensDisplay } from "./tex";

const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/;
const HEADING = /^ {0,3}#{1,6}(?:[ \t]|$)/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}>/;
const ITEM = /^ {0,3}(?:([-+*])|\d{1,9}([.)]))(?:[ \t]|$)/;
const ITEM_AFTER_TEXT = /^ {0,3}(?:([-+*])|1([.)]))[ \t]+\S/;
const FOOTNOTE = /^ {0,3}\[\^[^\]\s]+\]:/;
const DEFINITION =
  /^ {0,3}\[((?:[^[\]\\]|\\.){1,999})\]:[ \t]*(?:<[^<>\n]*>|[^\s<]\S*)(?:[ \t]+(?:"[^"]*"|'[^']*'|\([^()]*\)))?[ \t]*$/;
// The beginning of a line at column 0 that can no longer become a list item or a rule.
const NO_ITEM = /^(?:[^\s\-+*\d_]|-+[^\s-]|\*+[^\s*]|\+\S|_+[^\s_]|\d{10}|\d{1,9}[^\d.)]|\d{1,9}[.)]\S)/;

const ROW = /^ {0,3}\|/;
// The beginning of a line that may become a row.
const ROW_BEGINS = /^ {0,3}(?:\||$)/;
const MAX_ROWS = 50;

export interface Block {
  /** "fence" for a fenced code block; "table" for the beginning of one with nothing before it, "rows" for more of it. */
  kind: "fence" | "markdown" | "table" | "rows";
  text: string;
  /** The first two lines of the table, or "". */
  head: string;
  /** The normalised labels in square brackets; `null` if there are none. */
  labels: string[] | null;
}

interface State {
  kind: "none" | "text" | "list" | "footnote" | "indented" | "fence" | "math" | "table" | "rows";
  /** Whether the last line was blank. */
  blank: boolean;
  /** The marks that opened the code block, or close the formula. */
  fence: string;
  /** Characters that the formula has so far, or rows of the table. */
  taken: number;
  /** The last line, or the first two of the table. */
  head: string;
  /** The word behind them. */
  info: string;
  /** Whether a code block within it is open. */
  inner: boolean;
  /** The marker of the outermost list, if it is certain. */
  marker: string | null;
  /** Whether all lines so far define references. */
  definitionsOnly: boolean;
}

/** What `end` changed, to be undone by more text. */
interface BeforeEnd {
  body: string;
  line: string;
  state: State;
  closed: number;
}

export class BlockSplitter {
  readonly closed: Block[] = [];
  /** Normalised label -> the Markdown that defines it. */
  readonly definitions = new Map<string, string>();
  definitionsVersion = 0;
  ended = false;
  /** UTF-16 code units taken in, line ends as they came. */
  length = 0;
  private body = ""; // complete lines of the open block
  private line = ""; // the line that is still being written
  private carriage = false; // the last character was "\r"
  private state: State = stateOf("none");
  private beforeEnd: BeforeEnd | undefined;

  push(text: string): void {
    if (this.ended) this.reopen();
    this.length += text.length;
    let rest = text;
    if (this.carriage || rest.includes("\r")) {
      if (this.carriage && rest.startsWith("\n")) rest = rest.slice(1);
      this.carriage = text.endsWith("\r");
      rest = rest.replace(/\r\n?/g, "\n");
    }
    let from = 0;
    for (let at = rest.indexOf("\n"); at !== -1; at = rest.indexOf("\n", from)) {
      const line = this.line + rest.slice(from, at);
      this.line = "";
      this.take(line, "\n");
      from = at + 1;
    }
    if (from < rest.length) {
      this.line += from ? rest.slice(from) : rest;
      if (this.cutsEarly(this.line)) this.close();
    }
  }

  /** No more text comes: the last line is complete. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.beforeEnd = { body: this.body, line: this.line, state: this.state, closed: this.closed.length };
    if (this.line) {
      const line = this.line;
      this.line = "";
      this.take(line, "");
    }
    this.close();
  }

  /** The text of the block that is still being written, or "". */
  get open(): string {
    return this.body + this.line;
  }

  get openKind(): Block["kind"] {
    const { kind } = this.state;
    if (kind === "table" || kind === "rows") return kind;
    return kind === "fence" || (kind === "none" && FENCE.test(this.line)) ? "fence" : "markdown";
  }

  /** The first two lines of the table that is still being written, or "". */
  get openHead(): string {
    return this.openKind === "table" || this.openKind === "rows" ? this.state.head : "";
  }

  get text(): string {
    return this.closed.map((block) => block.text).join("") + this.open;
  }

  // More text after the end: the last line was not complete.
  private reopen(): void {
    if (!this.beforeEnd) return;
    const { body, line, state, closed } = this.beforeEnd;
    this.closed.length = closed;
    this.body = body;
    this.line = line;
    this.state = state;
    this.ended = false;
  }

  private begin(kind: State["kind"], extra?: Partial<State>): void {
    this.state = stateOf(kind, extra);
  }

  private close(): void {
    const text = this.body;
    if (text) this.closed.push({ kind: this.openKind, text, head: this.openHead, labels: labelsOf(text) });
    this.body = "";
    this.begin("none");
  }

  // One complete line. States are never changed in place, so that `end` can be undone.
  protected take(line: string, newline: string): void {
    const state = this.state;
    if (state.kind === "fence" || state.kind === "math") {
      this.body += line + newline;
      if (state.kind === "math") this.continueFormula(line);
      else if (closesFence(line, state.fence)) {
        if (state.inner) this.state = { ...state, inner: false };
        else this.close();
      } else if (!state.inner && opensInnerFence(line, state)) this.state = { ...state, inner: true };
      return;
    }
    if (isBlank(line)) {
      this.body += line + newline;
      if (state.kind !== "none") this.state = { ...state, blank: true };
      return;
    }
    const indent = indentOf(line);
    if (state.kind !== "none" && cuts(state, line, indent)) this.close();
    const after = this.state.kind === "none";
    this.noteDefinition(line, after);
    this.body += line + newline;
    this.continue(line, indent, after);
  }

  // The state after a line that is not blank and no part of fenced code.
  private continue(line: string, indent: number, first: boolean): void {
    const state: State = { ...this.state, blank: false };
    this.state = state;
    if (first) {
      if (this.beginsByItself(line, indent)) return;
      state.kind = "text";
    }
    if (state.kind === "indented") return;
    if (state.kind === "table" || state.kind === "rows") return this.continueTable(line);
    if (state.kind === "text" && this.beginsTable(line)) return;
    state.definitionsOnly = state.definitionsOnly && DEFINITION.test(line) && !FOOTNOTE.test(line);
    const end = state.kind === "text" && opensDisplay(line);
    if (end) return this.begin("math", { fence: end, taken: line.length });
    const item = ITEM.exec(line);
    if (item && !RULE.test(line)) {
      state.kind = "list";
      // Only an item at column 0 is surely one of the outermost list.
      state.marker = indent === 0 ? (item[1] ?? item[2]) : null;
    } else if (FOOTNOTE.test(line) && state.kind === "text") state.kind = "footnote";
  }

  private continueFormula(line: string): void {
    const { fence, taken } = this.state;
    const end = line.indexOf(fence);
    const next = end === -1 ? "" : opensDisplay(line.slice(end + fence.length));
    if (next) this.begin("math", { fence: next });
    else if (end !== -1 || taken + line.length > MAX_TEX) this.begin("text", { definitionsOnly: false });
    else this.begin("math", { fence, taken: taken + line.length });
  }

  // A table is certain with its second line.
  private beginsTable(line: string): boolean {
    const { head } = this.state;
    this.state.head = line;
    if (!ROW.test(head) || !isTableRule(line) || cellsOf(head) !== cellsOf(line) || !ROW.test(line)) return false;
    // Lazy lines of a quote are no table.
    if (/^ {0,3}>/m.test(this.body)) return false;
    const start = this.body.lastIndexOf(`${head}\n${line}`);
    const lines = this.body.slice(start);
    this.body = this.body.slice(0, start);
    this.close();
    this.begin("table", { head: lines });
    this.body = lines;
    return true;
  }

  private continueTable(line: string): void {
    const { kind, taken, head } = this.state;
    if (!ROW.test(line)) this.begin("text", { definitionsOnly: false });
    else if (taken + 1 < MAX_ROWS) this.begin(kind, { head, taken: taken + 1 });
    else {
      this.close();
      this.begin("rows", { head });
    }
  }

  // Headings, fenced code and indented code need no look at later lines; returns whether the first line is of one.
  private beginsByItself(line: string, indent: number): boolean {
    const fence = FENCE.exec(line);
    if (HEADING.test(line)) this.close();
    else if (fence) {
      const info = /^\S*/.exec(line.slice(fence[0].length).trim())?.[0] ?? "";
      this.begin("fence", { fence: fence[1], info });
    } else if (indent >= 4) this.begin("indented");
    else return false;
    return true;
  }

  // Whether the unfinished line begins another block, however it continues.
  private cutsEarly(line: string): boolean {
    const { kind, blank } = this.state;
    if (kind === "none" || kind === "fence" || kind === "math" || isBlank(line)) return false;
    if (kind === "indented") return indentOf(line) < 4;
    if (kind === "rows") return blank || !ROW_BEGINS.test(line);
    if (!blank) return false;
    return kind === "text" || kind === "table" || (kind === "footnote" ? /^\S/.test(line) : NO_ITEM.test(line));
  }

  private noteDefinition(line: string, first: boolean): void {
    if (!/^ {0,3}\[/.test(line)) return;
    const note = FOOTNOTE.test(line) && line.slice(line.indexOf("^") + 1, line.indexOf("]"));
    if (note) return this.define(`^${note}`, "");
    const definition = (first || this.state.definitionsOnly) && DEFINITION.exec(line);
    if (definition) this.define(definition[1], line.trim());
  }

  private define(label: string, markdown: string): void {
    const key = normaliseLabel(label);
    if (this.definitions.has(key)) return;
    this.definitions.set(key, label.startsWith("^") ? `[${label}]: ${STUB}` : markdown);
    this.definitionsVersion += 1;
  }
}

function stateOf(kind: State["kind"], extra?: Partial<State>): State {
  return {
    kind,
    blank: false,
    fence: "",
    taken: 0,
    head: "",
    info: "",
    inner: false,
    marker: null,
    definitionsOnly: true,
    ...extra,
  };
}

// Whether a complete line begins another block.
function cuts(state: State, line: string, indent: number): boolean {
  if (state.kind === "indented") return indent < 4;
  if (state.kind === "rows") return state.blank || !ROW.test(line);
  const item = ITEM.exec(line);
  const rule = RULE.test(line);
  if (state.kind === "text" || state.kind === "table") {
    if (state.blank) return true;
    return indent < 4 && (HEADING.test(line) || FENCE.test(line) || (ITEM_AFTER_TEXT.test(line) && !rule));
  }
  // In a list or a footnote only a line at column 0 is surely outside.
  if (indent !== 0) return false;
  if (HEADING.test(line) || FENCE.test(line) || rule || QUOTE.test(line)) return true;
  if (!state.blank) return false;
  if (state.kind === "footnote" || !item) return true;
  return state.marker !== null && (item[1] ?? item[2]) !== state.marker;
}

// A bar that is escaped separates nothing.
function cellsOf(row: string): number {
  return row
    .trim()
    .replace(/^\||(?<!\\)\|$/g, "")
    .split(/(?<!\\)\|/).length;
}

function isBlank(line: string): boolean {
  return /^[ \t]*$/.test(line);
}

// In columns; a tab reaches to the next multiple of 4.
function indentOf(line: string): number {
  let columns = 0;
  for (const character of line) {
    if (character === " ") columns += 1;
    else if (character === "\t") columns += 4 - (columns % 4);
    else break;
  }
  return columns;
}
