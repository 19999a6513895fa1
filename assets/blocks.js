// Splits growing Markdown into top-level blocks, one line at a time.
//
// Knows nothing of React, of HTML, or of how a block is rendered. Rules:
//
// * A cut is made only where CommonMark allows no other reading, whatever follows. So a closed block never changes
//   again, the number of blocks never falls, and feeding the text at once or in any pieces gives the same blocks.
// * Where a cut is not certain the lines stay together: a block may hold several constructs, and renders right all the same.
// * The cost of an append is that of the appended text.
// * The blocks joined are the text (line ends written as "\n").
// * Raw HTML is text here, as it is where blocks are rendered: HTML blocks are no constructs of their own.
//
// Definitions of references and footnotes are noted for `references.js`.

import { closesFence } from "./fence.js";
import { labelsOf, normalised, STUB } from "./references.js";

const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/;
const HEADING = /^ {0,3}#{1,6}(?:[ \t]|$)/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}>/;
const ITEM = /^ {0,3}(?:([-+*])|\d{1,9}([.)]))(?:[ \t]|$)/;
const ITEM_AFTER_TEXT = /^ {0,3}(?:([-+*])|1([.)]))[ \t]+\S/;
const FOOTNOTE = /^ {0,3}\[\^[^\]\s]+\]:/;
const MATH = /^ {0,3}\$\$/;
const MATH_END = /\$\$[ \t]*$/;
const DEFINITION =
  /^ {0,3}\[((?:[^[\]\\]|\\.){1,999})\]:[ \t]*(?:<[^<>\n]*>|[^\s<]\S*)(?:[ \t]+(?:"[^"]*"|'[^']*'|\([^()]*\)))?[ \t]*$/;
// The beginning of a line at column 0 that can no longer become a list item or a rule.
const NO_ITEM = /^(?:[^\s\-+*\d_]|-+[^\s-]|\*+[^\s*]|\+\S|_+[^\s_]|\d{10}|\d{1,9}[^\d.)]|\d{1,9}[.)]\S)/;

export class BlockSplitter {
  constructor() {
    this.closed = []; // {kind, text, labels}: "fence" for a fenced code block, else "markdown"
    this.definitions = new Map(); // normalised label -> the Markdown that defines it
    this.definitionsVersion = 0;
    this.ended = false;
    this.length = 0; // UTF-16 code units taken in, line ends as they came
    this._body = ""; // complete lines of the open block
    this._line = ""; // the line that is still being written
    this._carriage = false; // the last character taken in was "\r"
    this._begin("none");
  }

  push(text) {
    if (this.ended) this._reopen();
    this.length += text.length;
    let rest = text;
    if (this._carriage || rest.includes("\r")) {
      if (this._carriage && rest.startsWith("\n")) rest = rest.slice(1);
      this._carriage = text.endsWith("\r");
      rest = rest.replace(/\r\n?/g, "\n");
    }
    let from = 0;
    for (let at = rest.indexOf("\n"); at !== -1; at = rest.indexOf("\n", from)) {
      const line = this._line + rest.slice(from, at);
      this._line = "";
      this._take(line, "\n");
      from = at + 1;
    }
    if (from < rest.length) {
      this._line += from ? rest.slice(from) : rest;
      if (this._cutsEarly(this._line)) this._close();
    }
  }

  // No more text comes: the last line is complete.
  end() {
    if (this.ended) return;
    this.ended = true;
    this._unended = { body: this._body, line: this._line, state: this._state, closed: this.closed.length };
    if (this._line) {
      const line = this._line;
      this._line = "";
      this._take(line, "");
    }
    this._close();
  }

  // The text of the block that is still being written; "" where there is none.
  get open() {
    return this._body + this._line;
  }

  get openKind() {
    const { kind } = this._state;
    return kind === "fence" || (kind === "none" && FENCE.test(this._line)) ? "fence" : "markdown";
  }

  get text() {
    return this.closed.map((block) => block.text).join("") + this.open;
  }

  // More text after the end after all: go back to before the last line was taken as complete.
  _reopen() {
    const { body, line, state, closed } = this._unended;
    this.closed.length = closed;
    this._body = body;
    this._line = line;
    this._state = state;
    this.ended = false;
  }

  _begin(kind, extra) {
    this._state = { kind, blank: false, fence: "", marker: null, definitionsOnly: true, ...extra };
  }

  _close() {
    const text = this._body;
    if (text) this.closed.push({ kind: this.openKind, text, labels: labelsOf(text) });
    this._body = "";
    this._begin("none");
  }

  // One complete line. States are never changed in place, so that `end` can be undone.
  _take(line, newline) {
    const state = this._state;
    if (state.kind === "fence" || state.kind === "math") {
      this._body += line + newline;
      if (state.kind === "math") {
        if (MATH_END.test(line)) this._begin("text", { definitionsOnly: false });
      } else if (closesFence(line, state.fence)) this._close();
      return;
    }
    if (isBlank(line)) {
      this._body += line + newline;
      if (state.kind !== "none") this._state = { ...state, blank: true };
      return;
    }
    const indent = indentOf(line);
    if (state.kind !== "none" && cuts(state, line, indent)) this._close();
    const after = this._state.kind === "none";
    this._noteDefinition(line, after);
    this._body += line + newline;
    this._continue(line, indent, after);
  }

  // The state after a line that is not blank and no part of fenced code.
  _continue(line, indent, first) {
    const state = { ...this._state, blank: false };
    this._state = state;
    const fence = FENCE.exec(line);
    if (first) {
      if (HEADING.test(line)) return this._close();
      if (fence) return this._begin("fence", { fence: fence[1] });
      if (indent >= 4) return this._begin("indented");
      state.kind = "text";
    }
    if (state.kind === "indented") return;
    state.definitionsOnly = state.definitionsOnly && DEFINITION.test(line) && !FOOTNOTE.test(line);
    if (state.kind === "text" && MATH.test(line)) {
      if (!(line.trim().length > 2 && MATH_END.test(line))) this._begin("math");
      return;
    }
    const item = ITEM.exec(line);
    if (item && !RULE.test(line)) {
      state.kind = "list";
      // Only an item at column 0 is surely one of the outermost list.
      state.marker = indent === 0 ? (item[1] ?? item[2]) : null;
    } else if (FOOTNOTE.test(line) && state.kind === "text") state.kind = "footnote";
  }

  // Whether the unfinished line, however it goes on, begins another block.
  _cutsEarly(line) {
    const { kind, blank } = this._state;
    if (kind === "none" || kind === "fence" || kind === "math" || isBlank(line)) return false;
    if (kind === "indented") return indentOf(line) < 4;
    if (!blank) return false;
    return kind === "text" || (kind === "footnote" ? /^\S/.test(line) : NO_ITEM.test(line));
  }

  _noteDefinition(line, first) {
    if (!/^ {0,3}\[/.test(line)) return;
    const note = FOOTNOTE.test(line) && line.slice(line.indexOf("^") + 1, line.indexOf("]"));
    if (note) return this._define("^" + note, "");
    const found = (first || this._state.definitionsOnly) && DEFINITION.exec(line);
    if (found) this._define(found[1], line.trim());
  }

  _define(label, markdown) {
    const key = normalised(label);
    if (this.definitions.has(key)) return;
    this.definitions.set(key, label.startsWith("^") ? `[${label}]: ${STUB}` : markdown);
    this.definitionsVersion += 1;
  }
}

function cuts(state, line, indent) {
  if (state.kind === "indented") return indent < 4;
  const item = ITEM.exec(line);
  const rule = RULE.test(line);
  if (state.kind === "text") {
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

function isBlank(line) {
  return /^[ \t]*$/.test(line);
}

function indentOf(line) {
  let columns = 0;
  for (const character of line) {
    if (character === " ") columns += 1;
    else if (character === "\t") columns += 4 - (columns % 4);
    else break;
  }
  return columns;
}
