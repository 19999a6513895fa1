// Fenced code: where it ends, and what it holds. Pure.

export function closesFence(line, fence) {
  const found = /^ {0,3}(`{3,}|~{3,})[ \t]*$/.exec(line);
  return !!found && found[1][0] === fence[0] && found[1].length >= fence.length;
}

// The parts of a fenced code block; null where it is indented (the generic path takes the indentation off).
// While it is `open`, a last line that may become the closing fence is left out.
export function fencedCode(text, open = false) {
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
  return { language, code: code.endsWith("\n") ? code.slice(0, -1) : code, closed, fence: fence[1] };
}
