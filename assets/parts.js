// The parts of one message: what arrives of them, and what is painted.
//
// Pure. Rules:
//
// * Text parts that only notices or sources stand between are one text: a sentence, a list or a block of code that goes on
//   after a seam is rendered as if there was none. They share one splitter.
// * A part keeps its own length, in UTF-16 code units: offsets of pieces count within it.
// * A text that something else follows has ended: nothing of it is held back while the answer goes on.
// * Putting a whole message over what is there keeps the blocks that are the same.

import { BlockSplitter } from "./blocks.js";

const RUNNING = new Set(["streaming", "waiting"]);
const WITHIN_A_TEXT = new Set(["notice", "source"]);

// The parts of a whole message; `old` are those of the same message as it was before.
export function partsOf(message, old = []) {
  const parts = [];
  const texts = new Map(); // splitter -> the text that it is to have
  for (const [i, part] of message.parts.entries()) {
    if (part.type !== "text" && part.type !== "reasoning") {
      parts.push(part);
      continue;
    }
    const { text, ...rest } = part;
    const joined = textBefore(parts, part.type);
    const splitter = joined?.splitter ?? (old[i]?.type === part.type && !texts.has(old[i].splitter) ? old[i].splitter : new BlockSplitter());
    texts.set(splitter, (joined ? texts.get(splitter) : "") + text);
    parts.push({ ...rest, splitter, length: text.length });
  }
  for (const [splitter, text] of texts) {
    const grown = grownTo(splitter, text);
    if (grown !== splitter) for (const part of parts) if (part.splitter === splitter) part.splitter = grown;
  }
  endBefore(parts);
  return parts;
}

// Appends a piece at its offset; false where it does not fit.
export function takePiece(parts, index, offset, text, type) {
  if (index === parts.length && offset === 0) {
    parts.push({ type, splitter: textBefore(parts, type)?.splitter ?? new BlockSplitter(), length: 0 });
    endBefore(parts);
  }
  const part = parts[index];
  if (!part?.splitter || part.length !== offset || textBefore(parts, part.type) !== part) return false;
  part.splitter.push(text);
  part.length += text.length;
  return true;
}

// Puts a part in its place; false where parts before it are missing.
export function putPart(parts, index, part) {
  if (index > parts.length) return false;
  if (part.type === "text" || part.type === "reasoning") {
    if (index < parts.length) return false;
    return takePiece(parts, index, 0, part.text, part.type);
  }
  parts[index] = part;
  endBefore(parts);
  return true;
}

// Changes fields of parts that are no texts: {index: {field: value}}, `null` where the field goes; false where a part is
// missing. A part that changes is another object.
export function changeParts(parts, changes) {
  if (Object.keys(changes).some((index) => !parts[index] || parts[index].splitter)) return false;
  for (const [index, change] of Object.entries(changes)) {
    const fields = Object.entries({ ...parts[index], ...change });
    parts[index] = Object.fromEntries(fields.filter(([, value]) => value !== null));
  }
  return true;
}

// The length of the text, as the server counts it: text parts only.
export function lengthOf(parts) {
  return parts.reduce((sum, part) => sum + (part.type === "text" ? part.length : 0), 0);
}

export function endParts(parts) {
  for (const part of parts) part.splitter?.end();
}

// All texts but the one that may go on.
function endBefore(parts) {
  const last = textBefore(parts)?.splitter;
  for (const part of parts) if (part.splitter !== last) part.splitter?.end();
}

// What is painted: one part for each joined text. `splitter` grows in place; `version` tells that it did. Of the other
// parts `part` is what arrived: the same object where nothing changed.
function shownParts(parts, running) {
  const shown = [];
  const seen = new Set();
  const open = running ? textBefore(parts)?.splitter : null;
  for (const [index, part] of parts.entries()) {
    if (!part.splitter) shown.push({ ...part, index, part });
    else if (!seen.has(part.splitter)) {
      const { splitter, type } = part;
      seen.add(splitter);
      shown.push({ type, index, splitter, open: splitter === open, version: `${splitter.length} ${splitter === open} ${splitter.ended}` });
    }
  }
  return shown;
}

// The last text part (of this type) that a next one would go on; undefined where something else stands after it.
function textBefore(parts, type) {
  const last = parts.findLast((part) => !WITHIN_A_TEXT.has(part.type));
  return last?.splitter && (!type || last.type === type) ? last : undefined;
}

function grownTo(splitter, text) {
  const had = splitter.text;
  const has = text.replace(/\r\n?/g, "\n");
  // Lengths count line ends as they came, the splitter's text does not: where there are others it is read anew.
  if (has === had && splitter.length === text.length) return splitter;
  const fresh = splitter.length && !(has.startsWith(had) && splitter.length === had.length) ? new BlockSplitter() : splitter;
  fresh.push(text.slice(fresh.length));
  return fresh;
}

export function isRunning(status) {
  return RUNNING.has(status);
}

// A message as it is painted.
export function viewOf({ fields, parts, began, heard, tally }) {
  const running = isRunning(fields.status);
  return { ...fields, parts: shownParts(parts, running), running, began, heard, tally };
}

// The text of a message as it is copied: text parts only.
export function textOf(view) {
  return view.parts.map((part) => (part.type === "text" ? part.splitter.text : "")).join("");
}
