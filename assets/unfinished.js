// Makes the block that is still being written presentable: no raw marker is shown of a construct that is not complete.
//
// Pure. Works on the open block only, and only on its end; a closed block is always rendered as it stands, so whatever is
// hidden here is shown in the end if it turns out to be plain text. `complete` is `remend`, which closes what is open
// inline (bold, italic, code, links).

const OPTIONS = {
  katex: false,
  htmlTags: false,
  setextHeadings: false,
  comparisonOperators: false,
  singleTilde: false,
};
// A last line that is nothing but markers may become a rule, a heading's underline, a list item, a table's second row, a fence.
const MARKERS_ONLY = /^[ \t]*(?:>[ \t]?)*(?:[-=*_+#~`>|:]+|\d{1,9}[.)]?|(?:[-*_][ \t]*)+|\[[ xX]?\]?|!\[?|[-+*][ \t]+\[[ xX]?\]?)[ \t]*$/;
const DEFINING = /^ {0,3}\[[^\]\n]*(?:\](?::[^\n]*)?)?$/;
const CLOSING_FENCE = /^[ \t>]*(?:`+|~+)[ \t]*$/;
const IMAGE = /!\[(?:[^\]\n]*|[^\]\n]*\](?:\([^)\n]*)?)$/;
const TABLE_HEAD = /^[ \t]*\|(.*)$/;
const TABLE_RULE = /^[ \t]*\|?[ \t:|-]*$/;
// Inline markers at the very end that nothing follows yet.
const TRAILING = /(^|[^\\])(?:[*_~]+|`+|!?\[|<[^\s<>]*)$/;

export function presentable(text, complete) {
  const lineStart = text.lastIndexOf("\n") + 1;
  const line = text.slice(lineStart);
  const before = text.slice(0, lineStart);
  if (insideFence(before)) return CLOSING_FENCE.test(line) ? before : text;
  const head = tableHead(before, line);
  if (head !== null) return asTable(inlineComplete(head, complete));
  if (line && (MARKERS_ONLY.test(line) || (!before.trim() && DEFINING.test(line)))) {
    return inlineComplete(before.trimEnd(), complete);
  }
  return inlineComplete(text, complete);
}

function inlineComplete(text, complete) {
  const trimmed = text.trimEnd().replace(IMAGE, "").trimEnd();
  const found = TRAILING.exec(trimmed);
  if (!found) return complete(trimmed, OPTIONS);
  const marker = trimmed.slice(found.index + found[1].length);
  const without = trimmed.slice(0, found.index + found[1].length);
  // The marker may be the second half of a pair: then what stands before it is already closed without it.
  return complete(without.trimEnd() && closesPair(without, marker) ? trimmed : without, OPTIONS);
}

function closesPair(without, marker) {
  return "*_~`".includes(marker[0]) && !/\s$/.test(without) && without.includes(marker);
}

// The first row of what is shown as a table from its first cell on: a line that begins with "|".
function tableHead(before, line) {
  const head = before.trimEnd();
  if (!head && TABLE_HEAD.test(line)) return line;
  if (head && !head.includes("\n") && TABLE_HEAD.test(head) && TABLE_RULE.test(line)) return head;
  return null;
}

function asTable(head) {
  const row = head.trim().replace(/^\|/, "").replace(/\|$/, "");
  if (!row.trim()) return "";
  const cells = row.split(/(?<!\\)\|/);
  return `|${cells.join("|")}|\n|${cells.map(() => "---|").join("")}`;
}

function insideFence(text) {
  let fence = null;
  for (const found of text.matchAll(/^[ \t>]*(?:(?:[-+*]|\d+[.)])[ \t]+)?(`{3,}|~{3,})(.*)$/gm)) {
    const [, marks, info] = found;
    if (!fence) fence = marks;
    else if (marks[0] === fence[0] && marks.length >= fence.length && !info.trim()) fence = null;
  }
  return fence !== null;
}
