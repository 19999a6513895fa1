// Finds text that Markdown's parser would take seconds for: it is quadratic in the nesting of a line's containers and in
// the markers of one paragraph. Such text is shown as it is. No person writes it; a model that runs in circles does.
//
// Pure, and linear in the text.

const MAX_CONTAINERS = 60;
const MAX_MARKERS = 2000;
const CONTAINER = /[ \t]*(?:>|(?:[-+*]|\d{1,9}[.)])(?=[ \t]|$))/y;
const TABLE_RULE = /^[ \t]*\|?[ \t]*:?-[ \t|:-]*$/;
const MARKERS = "*_~`[]";

/** Whether the text is to be shown as plain text. */
export function isIntricate(text: string): boolean {
  let markers = 0;
  let inTable = false;
  for (let start = 0; start < text.length; ) {
    const end = lineEnd(text, start);
    const containers = countContainers(text, start, end);
    if (containers > MAX_CONTAINERS) return true;
    const count = countMarkers(text, start, end);
    inTable = count !== -1 && (inTable || TABLE_RULE.test(text.slice(start, Math.min(end, start + 1000))));
    // A blank line ends a paragraph, and so does an item of a list or a quote. A table's rows have cells of their own.
    markers = containers || inTable || count === -1 ? Math.max(0, count) : markers + count;
    if (markers > MAX_MARKERS) return true;
    start = end + 1;
  }
  return false;
}

function lineEnd(text: string, start: number): number {
  const end = text.indexOf("\n", start);
  return end === -1 ? text.length : end;
}

function countContainers(text: string, start: number, end: number): number {
  let count = 0;
  CONTAINER.lastIndex = start;
  while (count <= MAX_CONTAINERS && CONTAINER.lastIndex < end && CONTAINER.test(text)) count += 1;
  return count;
}

/** The markers of a line; -1 for a blank one. */
function countMarkers(text: string, start: number, end: number): number {
  let count = -1;
  for (let at = start; at < end; at += 1) {
    const char = text[at];
    if (count === -1 && char !== " " && char !== "\t") count = 0;
    if (MARKERS.includes(char)) count += 1;
  }
  return count;
}
