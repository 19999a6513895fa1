// Finds formulas: $…$, $$…$$, \\(…\\), \\[…\\]. Pure, and linear in the text.
//
// Markdown would take a formula's backslashes for escapes, its underscores for emphasis and its lines for lists and
// headings. So each is replaced by one word of private characters before Markdown is parsed (`hideFormulas`), and the word
// by an element afterwards (`formulas`). Rules:
//
// * Code holds no formulas.
// * A display formula takes several lines only if its opening mark begins or ends a line.
// * A single dollar is money unless what stands between two of them, in one line, can be mathematics: no white space at its
//   edges, no prose, no digit behind it.
// * While the text grows, a formula that is not closed is not shown: an inline one is held back, a display one has a place.

import type { Nodes, Parent, PhrasingContent, Root, RootContent } from "mdast";

/** Characters of the longest formula; what is longer is no formula. */
export const MAX_TEX = 5000;
const MAX_INLINE = 1000;
const MAX_DOLLAR = 200;

const CLOSERS: Record<string, string> = { $: "$", $$: "$$", "\\(": "\\)", "\\[": "\\]" };
const MARKS = Object.keys(CLOSERS);
// The private characters: one for each opening mark, the end, a formula that is awaited, and from BASE on ASCII.
const OPEN = 0xe010;
const END = "\ue014";
const AWAITED = "\ue015";
const BASE = 0xe100;
const HIDDEN = /[\ue010-\ue013][^\ue010-\ue015]*\ue014|\ue015/g;
const PRIVATE = /[\ue010-\ue015\ue100-\ue17f]/g;

const NEXT = /[\\`$\n]/g;
const FENCE = /[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*(`{3,}(?=[^`\n]*(?:\n|$))|~{3,})/y;
// Groups of words and commands are no prose.
const COMMANDS = /\\(?:text\w*|math\w+|mbox|operatorname\*?|begin|end)\s*\{[^{}]*\}|\\[A-Za-z]+|\\./g;
const FUNCTIONS = /\b(?:mod|sin|cos|tan|log|ln|exp|max|min|gcd|lim)\b/g;
// A word behind another one, a word of a language without spaces, or the marks of bold.
const PROSE = /[\p{L}\p{N},;.)\]}'"’%!?:]\s+\(?\p{L}{2,}|[\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]|\*\*/u;
// The marks of an escaped bracket in prose hold words, without space at their edges.
const ESCAPED_WORDS = /^[\w.,:;'"’&!? -]*$/;
const LINE_BEGINS = /^[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*$/;

interface Found {
  start: number;
  end: number;
  tex: string;
  mark: string;
}

/** What stands at an opening mark: a formula, the beginning of one that is not closed yet, or neither. */
type Reading = Found | "open" | null;

/** The Markdown of a block with its formulas hidden from the parser; `growing`: its end may be the beginning of one. */
export function hideFormulas(text: string, growing: boolean): string {
  if (!text.includes("$") && !text.includes("\\(") && !text.includes("\\[")) return text;
  const { found, open } = findFormulas(text, growing);
  if (!found.length && open === null) return text;
  let hidden = "";
  let at = 0;
  for (const formula of found) {
    hidden += text.slice(at, formula.start).replace(PRIVATE, "") + hide(formula);
    at = formula.end;
  }
  return (
    hidden +
    text.slice(at, open?.start).replace(PRIVATE, "") +
    (open?.display && hasContent(text, open.start) ? AWAITED : "")
  );
}

/** The mark that closes a display formula which the line leaves open, or "". */
export function opensDisplay(line: string): string {
  if (!line.includes("$$") && !line.includes("\\[")) return "";
  const { open } = findFormulas(`${line}\n`, true);
  return open?.display ? CLOSERS[line.slice(open.start, open.start + 2)] : "";
}

interface Formulas {
  found: Found[];
  open: { start: number; display: boolean } | null;
}

function findFormulas(text: string, growing: boolean): Formulas {
  const scan = new Scan(text, growing);
  const found: Found[] = [];
  for (let at = isIndented(text) ? text.length : scan.begin(0); at < text.length; ) {
    NEXT.lastIndex = at;
    const next = NEXT.exec(text)?.index;
    if (next === undefined) break;
    const mark = markAt(text, next);
    const reading = mark ? scan.read(next, mark) : null;
    if (reading === "open") return { found, open: { start: next, display: isDisplay(mark) } };
    if (reading) found.push(reading);
    at = reading?.end ?? scan.behind(next, mark);
  }
  return { found, open: null };
}

class Scan {
  private lineStart = 0;
  private paragraph = 0; // where it ends

  constructor(
    private readonly text: string,
    private readonly growing: boolean,
  ) {}

  // Begins a line; returns the index behind a fenced code block that begins with it, otherwise the line itself.
  begin(lineStart: number): number {
    let at = lineStart;
    for (let end = fenceEnd(this.text, at); end > at; end = fenceEnd(this.text, at)) at = end;
    this.lineStart = at;
    return at;
  }

  // The index behind what stands here and is no formula.
  behind(at: number, mark: string): number {
    const char = this.text[at];
    if (char === "\n") return this.begin(at + 1);
    if (char === "`") return this.skipCode(at);
    return at + (mark.length || (char === "$" ? runLength(this.text, at) : 2));
  }

  // The index behind the code that begins with these backticks. What may still become code holds no formulas either.
  skipCode(at: number): number {
    const { text } = this;
    const length = runLength(text, at);
    const end = this.paragraphEnd(at);
    for (let next = text.indexOf("`", at + length); next !== -1 && next < end; ) {
      const other = runLength(text, next);
      if (other === length) return next + other;
      next = text.indexOf("`", next + other);
    }
    const opens = this.growing && end === text.length && (length > 1 || /\S/.test(text[at + 1] ?? " "));
    return opens ? text.length : at + length;
  }

  read(at: number, mark: string): Reading {
    const { text, growing } = this;
    if (mark === "$") return this.readDollar(at);
    const from = at + mark.length;
    const limit = this.limitOf(at, mark);
    const body = text.slice(from, limit);
    const close = mark === "$$" ? body.indexOf("$$") : closingMark(body, mark);
    if (close === -1) return growing && limit === text.length ? "open" : null;
    const tex = body.slice(0, close);
    const end = from + close + 2;
    if (close < 0 || !tex.trim() || this.isEscapedBracket(at, end, tex, mark)) return null;
    return { start: at, end, tex: this.withoutQuoteMarks(at, tex), mark };
  }

  private readDollar(at: number): Reading {
    const { text, growing } = this;
    const line = text.slice(at + 1, at + MAX_DOLLAR).split("\n", 1)[0];
    const limit = at + 1 + line.length;
    let close = at + 1;
    while (close < limit && text[close] !== "$" && text[close] !== "`") close += text[close] === "\\" ? 2 : 1;
    const tex = text.slice(at + 1, Math.min(close, limit));
    if (/^\s|^\{(?!\\)/.test(tex) || isProse(tex) || (this.isRow() && /\s\|\s/.test(tex))) return null;
    if (close >= limit) return growing && limit === text.length ? "open" : null;
    const after = text[close + 1];
    if (text[close] !== "$" || after === "$" || /\s$/.test(tex) || !tex) return null;
    if (after === undefined && growing) return "open";
    if (/\d/.test(after ?? "") || (/\p{L}/u.test(after ?? "") && !/^[A-Za-z]$|[\\^_{}=]/.test(tex))) return null;
    return { start: at, end: close + 1, tex, mark: "$" };
  }

  // How far a formula may reach: over several lines only if its mark begins or ends one.
  private limitOf(at: number, mark: string): number {
    const { text } = this;
    if (!isDisplay(mark)) return Math.min(this.paragraphEnd(at), at + MAX_INLINE);
    const line = text.slice(at + 2, at + MAX_TEX).split("\n", 1)[0];
    const begins = at - this.lineStart < 100 && LINE_BEGINS.test(text.slice(this.lineStart, at));
    return begins || !line.trim() ? Math.min(text.length, at + MAX_TEX) : at + 2 + line.length;
  }

  private paragraphEnd(at: number): number {
    if (at < this.paragraph) return this.paragraph;
    const blank = /\n[ \t>]*(?=\n)/g;
    blank.lastIndex = at;
    this.paragraph = blank.exec(this.text)?.index ?? this.text.length;
    return this.paragraph;
  }

  // `\\[a note\\](…)` and `\\[1\\]` are escaped brackets.
  private isEscapedBracket(at: number, end: number, tex: string, mark: string): boolean {
    const { text } = this;
    if (mark !== "\\[" || /^\s|\s$/.test(tex)) return false;
    if (text[end] === "(") return true;
    const alone = !text.slice(this.lineStart, at).trim() && /^[ \t.,]*(?:\n|$)/.test(text.slice(end, end + 50));
    return !alone && ESCAPED_WORDS.test(tex);
  }

  private isRow(): boolean {
    return /^[ \t>]*\|/.test(this.text.slice(this.lineStart, this.lineStart + 100));
  }

  // The lines of a formula in a quote.
  private withoutQuoteMarks(at: number, tex: string): string {
    const quoted = /^[ \t]*>/.test(this.text.slice(this.lineStart, Math.min(at, this.lineStart + 100)));
    return quoted && tex.includes("\n") ? tex.replace(/\n[ \t]*(?:>[ \t]?)+/g, "\n") : tex;
  }
}

function isIndented(text: string): boolean {
  const first = text.slice(0, 1000).replace(/^(?:[ \t]*\n)+/, "");
  return /^(?: {4}| {0,3}\t)/.test(first);
}

function isDisplay(mark: string): boolean {
  return mark === "$$" || mark === "\\[";
}

function hasContent(text: string, at: number): boolean {
  return /[^\s$]/.test(text.slice(at + 2, at + 200));
}

function runLength(text: string, at: number): number {
  let end = at;
  while (text[end] === text[at]) end += 1;
  return end - at;
}

function markAt(text: string, at: number): string {
  if (text[at] === "$") {
    const length = runLength(text, at);
    if (length > 2 || (length === 1 && at > 0 && /[\p{L}\p{N}]/u.test(text[at - 1]))) return "";
    return "$$".slice(0, length);
  }
  const mark = text.slice(at, at + 2);
  return mark === "\\(" || mark === "\\[" ? mark : "";
}

// The index of the mark that closes; -1 if there is none yet, -2 if another formula begins before it.
function closingMark(body: string, mark: string): number {
  const escapes = /\\./gs;
  for (let match = escapes.exec(body); match; match = escapes.exec(body)) {
    if (match[0] === CLOSERS[mark]) return match.index;
    if (match[0] === mark) return -2;
  }
  return -1;
}

function isProse(tex: string): boolean {
  return PROSE.test(tex.replace(COMMANDS, "+").replace(FUNCTIONS, "+"));
}

// The index behind a fenced code block that begins with this line, or -1.
function fenceEnd(text: string, lineStart: number): number {
  FENCE.lastIndex = lineStart;
  const fence = FENCE.exec(text);
  if (!fence) return -1;
  const closing = new RegExp(`\\n[ \\t>]*${fence[1][0]}{${fence[1].length},}[ \\t]*(?=\\n|$)`, "g");
  closing.lastIndex = FENCE.lastIndex;
  const end = closing.exec(text);
  return end ? Math.min(text.length, closing.lastIndex + 1) : text.length;
}

function hide({ tex, mark }: Found): string {
  const shown = tex.replace(PRIVATE, "");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
  const letters = shown.replace(/[\x00-\x7f]/g, (char) => String.fromCharCode(BASE + char.charCodeAt(0)));
  return String.fromCharCode(OPEN + MARKS.indexOf(mark)) + letters + END;
}

function reveal(hidden: string): { tex: string; mark: string } {
  const tex = hidden.slice(1, -1).replace(PRIVATE, (char) => String.fromCharCode(char.charCodeAt(0) - BASE));
  return { tex, mark: MARKS[hidden.charCodeAt(0) - OPEN] };
}

/** The text with its formulas as they were written. */
export function showFormulas(text: string): string {
  return text.replace(HIDDEN, (hidden) => {
    if (hidden === AWAITED) return "";
    const { tex, mark } = reveal(hidden);
    return mark + tex + CLOSERS[mark];
  });
}

/** Makes elements of the formulas in a tree: `span.tex`, whose text is the source. In code and addresses they are text. */
export function formulas() {
  return (tree: Root): void => visit(tree);
}

function visit(node: Nodes): void {
  const fields = node as unknown as Record<string, unknown>;
  for (const name of ["value", "url", "alt", "title"]) {
    const value = fields[name];
    if (typeof value === "string" && node.type !== "text") fields[name] = showFormulas(value);
  }
  if (!("children" in node)) return;
  const parent = node as Parent;
  for (const child of parent.children) visit(child);
  if (!parent.children.some((child) => child.type === "text" && child.value.search(HIDDEN) !== -1)) return;
  parent.children = parent.children.flatMap((child): RootContent[] =>
    child.type === "text" ? pieces(child.value) : [child],
  );
}

function pieces(text: string): PhrasingContent[] {
  const nodes: PhrasingContent[] = [];
  let at = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > at) nodes.push({ type: "text", value: text.slice(at, match.index) });
    nodes.push(formula(match[0]));
    at = match.index + match[0].length;
  }
  if (at < text.length) nodes.push({ type: "text", value: text.slice(at) });
  return nodes;
}

function formula(hidden: string): PhrasingContent {
  const { tex, mark } = hidden === AWAITED ? { tex: "", mark: "$$" } : reveal(hidden);
  const className = isDisplay(mark) ? ["tex", "tex-display"] : ["tex"];
  const children: PhrasingContent[] = tex ? [{ type: "text", value: tex.trim() }] : [];
  return { type: "emphasis", children, data: { hName: "span", hProperties: { className } } };
}
