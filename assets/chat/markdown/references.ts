// Links and footnotes that are defined in another block than the one that uses them. Pure.
//
// `withReferences` returns the Markdown of a block with the definitions that it needs, so that a block can be rendered
// by itself. A definition that takes more than a line or stands in a quote serves its own block only.

const AWAITED = /\[(\^[^[\]\s]+)\](?!:)|(?<![^\s(*_"'])\[[^[\]]+\]\[([^[\]^]+)\]/g;
// No address that may be a link: its text is shown as text.
const NO_ADDRESS = "#";
const LABEL = /\[((?:[^[\]\\]|\\.){1,999})\]/g;

/** Replaces the text of a footnote in blocks that only refer to it; removed again when they are rendered. */
export const STUB = "\uE000";

/**
 * The Markdown of a block with the definitions that it uses from elsewhere, without blank lines at its end.
 *
 * Models put definitions last: while the text is `growing`, a footnote or a link without one is shown as what it becomes.
 */
export function withReferences(
  text: string,
  labels: string[] | null,
  definitions: Map<string, string>,
  growing = false,
): string {
  const block = withoutBlankEnd(text);
  if (!labels) return block;
  const awaited = growing ? awaitedLabels(text) : [];
  const used = labels
    .map((label) => definitions.get(label) ?? (awaited.includes(label) ? placeholder(label) : undefined))
    .filter((definition) => definition !== undefined && !defines(text, definition));
  return used.length ? `${block}\n\n${used.join("\n\n")}` : block;
}

// An expression for it is quadratic in blank lines that are not at the end.
function withoutBlankEnd(text: string): string {
  let end = text.length;
  while (end > 0 && " \t\n".includes(text[end - 1])) end -= 1;
  const lineEnd = text.indexOf("\n", end);
  return lineEnd === -1 ? text : text.slice(0, lineEnd);
}

// The labels that surely wait for a definition: those of footnotes, and the second ones of `[text][label]` behind a space.
function awaitedLabels(text: string): string[] {
  return [...text.matchAll(AWAITED)].map((match) => normaliseLabel(match[1] ?? match[2]));
}

function placeholder(label: string): string {
  return label.startsWith("^") ? `[${label}]: ${STUB}` : `[${label}]: ${NO_ADDRESS}`;
}

/** The labels in square brackets of a text, normalised; `null` if there are none. */
export function labelsOf(text: string): string[] | null {
  if (!text.includes("[")) return null;
  const labels = new Set<string>();
  for (const match of text.matchAll(LABEL)) labels.add(normaliseLabel(match[1]));
  return labels.size ? [...labels] : null;
}

function defines(text: string, definition: string): boolean {
  return text.includes(definition.slice(0, definition.indexOf("]:") + 2));
}

/** Labels match as in CommonMark: without regard to case and white space. */
export function normaliseLabel(label: string): string {
  return label.replace(/\s+/g, " ").trim().toLowerCase().toUpperCase();
}
