// Links and footnotes that are defined in another block than the one that uses them. Pure.
//
// `withReferences` gives the Markdown of a block together with the definitions it needs, so that a block can be rendered by
// itself. A definition that takes more than a line or stands in a quote serves its own block only.

const LABEL = /\[((?:[^[\]\\]|\\.){1,999})\]/g;

// What a footnote's definition is replaced by in the blocks that only refer to it; dropped again when they are rendered.
export const STUB = "\uE000";

// The Markdown of a block with the definitions that it uses and that stand elsewhere, without blank lines at its end.
export function withReferences(text, labels, definitions) {
  const block = text.replace(/(\n[ \t]*)+$/, "");
  if (!labels || !definitions.size) return block;
  const used = labels.filter((label) => definitions.has(label) && !defines(text, definitions.get(label)));
  return used.length ? `${block}\n\n${used.map((label) => definitions.get(label)).join("\n\n")}` : block;
}

// The labels in square brackets of a text, normalised; null where there are none.
export function labelsOf(text) {
  if (!text.includes("[")) return null;
  const labels = new Set();
  for (const found of text.matchAll(LABEL)) labels.add(normalised(found[1]));
  return labels.size ? [...labels] : null;
}

function defines(text, definition) {
  const label = definition.slice(0, definition.indexOf("]:") + 2);
  return text.includes(label);
}

export function normalised(label) {
  return label.replace(/\s+/g, " ").trim().toLowerCase().toUpperCase();
}
