// Fenced code: where it ends, and what it contains. Pure.

import { withoutMarks } from "../common/source-marks";

export interface FencedCode {
  language: string;
  code: string;
  /** Whether the closing fence is there. */
  closed: boolean;
}

/** Whether this line closes a code block that was opened by these marks. */
export function closesFence(line: string, fence: string): boolean {
  const marks = /^ {0,3}(`{3,}|~{3,})[ \t]*$/.exec(line)?.[1];
  return !!marks && marks[0] === fence[0] && marks.length >= fence.length;
}

/**
 * Whether a line within a block of Markdown code begins a block within it, which is closed before the outer one. (By
 * CommonMark its closing fence would end both; a model that shows a file means the file.)
 */
export function opensInnerFence(line: string, outer: { fence: string; info: string }): boolean {
  if (!/^(?:markdown|md|mdx)$/i.test(outer.info)) return false;
  const marks = /^ {0,3}(`{3,}|~{3,})[ \t]*[^\s`~][^`]*$/.exec(line)?.[1];
  return !!marks && marks[0] === outer.fence[0] && marks.length >= outer.fence.length;
}

/**
 * The parts of a fenced code block; `null` if it is indented (the generic path removes the indentation).
 *
 * While the block is `open`, a last line that may become the closing fence is left out.
 */
export function fencedCode(text: string, open = false): FencedCode | null {
  const start = text.search(/\S/);
  const lineEnd = text.indexOf("\n", start);
  const first = lineEnd === -1 ? text.slice(start) : text.slice(start, lineEnd);
  const fence = /^(`{3,}|~{3,})(.*)$/.exec(first);
  if (!fence || (start > 0 && text[start - 1] !== "\n")) return null;
  // The info string is complete when its line is.
  const language = lineEnd === -1 ? "" : (/^\S+/.exec(fence[2].trim())?.[0] ?? "");
  if (/[\\&]/.test(language)) return null;
  let code = lineEnd === -1 ? "" : text.slice(lineEnd + 1);
  const lastStart = code.trimEnd().lastIndexOf("\n") + 1;
  const last = code.slice(lastStart).trimEnd();
  const closed = closesFence(last, fence[1]);
  if (closed || (open && last && fence[1].startsWith(last.trimStart()))) code = code.slice(0, lastStart);
  return { language, code: withoutMarks(code.endsWith("\n") ? code.slice(0, -1) : code), closed };
}
