// The parts of one message: as they arrive, and as they are painted.
//
// Pure. Rules:
//
// * Text parts with only notices or sources between them are one text: a sentence, a list or a block of code that
//   continues after a seam is rendered as if there was none. They share one splitter.
// * A part keeps its own length, in UTF-16 code units: the offsets of pieces count within it.
// * A text is complete once another part follows it: nothing of it is held back while the answer continues.
// * Putting a whole message over what is there keeps the blocks that are the same.

import { sourceMark, withoutMarks } from "../common/source-marks";
import { BlockSplitter } from "../markdown/block-splitter";
import type { Message, Part, SourcePart, Status, ToolChanges } from "./frames";

type TextType = "text" | "reasoning";

/** A text part while it is in the store. */
export interface StoredText {
  type: TextType;
  splitter: BlockSplitter;
  length: number;
}

export type OtherPart = Exclude<Part, { type: TextType }> & { splitter?: undefined };
export type StoredPart = StoredText | OtherPart;

/** Joined text parts as they are painted: `splitter` grows in place, `version` changes with it. */
export interface TextView {
  type: TextType;
  index: number;
  splitter: BlockSplitter;
  /** Whether it may still grow. */
  open: boolean;
  version: string;
  part?: undefined;
}

/** Any other part as it is painted; `part` is the same object as long as nothing changed. */
export type OtherView = OtherPart & { index: number; part: OtherPart };
export type PartView = TextView | OtherView;
export type ToolCallView = Extract<OtherView, { type: "tool_call" }>;

/** How a message arrived in this tab. */
export interface Tally {
  pieces: number;
  gaps: number;
  reconnects: number;
  /** Milliseconds from a piece to the screen, of the last paints. */
  lags: number[];
}

/** The fields of a message without its text and parts. */
export type MessageFields = Omit<Message, "parts" | "text" | "seq"> & {
  /** Its text was compared with the server's checksum at its end. */
  verified?: boolean;
};

/** A message as it is painted. */
export interface MessageView extends MessageFields {
  parts: PartView[];
  running: boolean;
  /** When this tab first and last received something of it, in ms since 1970. */
  firstReceived: number;
  lastReceived: number;
  tally: Tally;
}

/** A message in the store. */
export interface StoredMessage {
  fields: MessageFields;
  parts: StoredPart[];
  firstReceived: number;
  lastReceived: number;
  tally: Tally;
}

const RUNNING: ReadonlySet<unknown> = new Set<Status>(["streaming", "waiting"]);
const WITHIN_A_TEXT: ReadonlySet<string> = new Set(["notice", "source"]);

/** The parts of a whole message; `old` are those of the same message as it was before. */
export function partsOf(message: Message, old: StoredPart[] = []): StoredPart[] {
  const parts: StoredPart[] = [];
  const texts = new Map<BlockSplitter, string>(); // the text that each splitter is to have
  for (const [i, part] of message.parts.entries()) {
    if (part.type !== "text" && part.type !== "reasoning") {
      const { cited, mark } = citation(part, parts);
      if (cited) texts.set(cited, (texts.get(cited) ?? "") + mark);
      parts.push(part);
      continue;
    }
    const joined = lastText(parts, part.type);
    const splitter = joined?.splitter ?? reusable(old[i], part.type, texts) ?? new BlockSplitter();
    texts.set(splitter, (joined ? (texts.get(splitter) ?? "") : "") + part.text);
    parts.push({ type: part.type, splitter, length: part.text.length });
  }
  for (const [splitter, text] of texts) {
    const grown = grownTo(splitter, text);
    if (grown === splitter) continue;
    for (const part of parts) if (part.splitter === splitter) (part as StoredText).splitter = grown;
  }
  endEarlierTexts(parts);
  return parts;
}

function reusable(
  old: StoredPart | undefined,
  type: TextType,
  used: Map<BlockSplitter, string>,
): BlockSplitter | undefined {
  return old?.splitter && old.type === type && !used.has(old.splitter) ? old.splitter : undefined;
}

/** Appends a piece at its offset; `false` if it does not fit. */
export function takePiece(parts: StoredPart[], index: number, offset: number, text: string, type: TextType): boolean {
  if (index === parts.length && offset === 0) {
    parts.push({ type, splitter: lastText(parts, type)?.splitter ?? new BlockSplitter(), length: 0 });
    endEarlierTexts(parts);
  }
  const part = parts[index];
  if (!part?.splitter || part.length !== offset || lastText(parts, part.type) !== part) return false;
  part.splitter.push(text);
  part.length += text.length;
  return true;
}

/** Puts a whole part in its place; `false` if parts before it are missing. */
export function putPart(parts: StoredPart[], index: number, part: Part): boolean {
  if (index > parts.length) return false;
  if (part.type === "text" || part.type === "reasoning") {
    if (index < parts.length) return false;
    return takePiece(parts, index, 0, part.text, part.type);
  }
  if (index === parts.length) {
    const { cited, mark } = citation(part, parts);
    cited?.push(mark);
  }
  parts[index] = part;
  endEarlierTexts(parts);
  return true;
}

// The text that a part names a source of, and the mark of that source.
function citation(part: OtherPart, before: StoredPart[]): { cited?: BlockSplitter; mark: string } {
  if (part.type !== "source") return { mark: "" };
  return { cited: lastText(before, "text")?.splitter, mark: sourceMark(numberOf(part, before)) };
}

// Which of the answer's sources it is, from 1 on: the same address is the same source.
function numberOf({ url }: SourcePart, before: StoredPart[]): number {
  const urls = sourceAddresses(before);
  const index = urls.indexOf(url);
  return index < 0 ? urls.length + 1 : index + 1;
}

function sourceAddresses(parts: StoredPart[]): string[] {
  return [...new Set(parts.flatMap((part) => (part.type === "source" ? [part.url] : [])))];
}

/** Changes fields of tool calls; `false` if one is missing. A part that changes becomes another object. */
export function changeParts(parts: StoredPart[], changes: ToolChanges): boolean {
  const indices = Object.keys(changes).map(Number);
  if (indices.some((index) => !parts[index] || parts[index].splitter)) return false;
  for (const index of indices) {
    const fields = Object.entries({ ...parts[index], ...changes[index] });
    parts[index] = Object.fromEntries(fields.filter(([, value]) => value !== null)) as unknown as OtherPart;
  }
  return true;
}

/** The length of the text as the server counts it: text parts only, in UTF-16 code units. */
export function lengthOf(parts: StoredPart[]): number {
  return parts.reduce((sum, part) => sum + (part.type === "text" ? part.length : 0), 0);
}

/** No more text comes. */
export function endTexts(parts: StoredPart[]): void {
  for (const part of parts) part.splitter?.end();
}

// All texts but the one that may continue.
function endEarlierTexts(parts: StoredPart[]): void {
  const last = lastText(parts)?.splitter;
  for (const part of parts) if (part.splitter !== last) part.splitter?.end();
}

function viewsOf(parts: StoredPart[], running: boolean): PartView[] {
  const views: PartView[] = [];
  const seen = new Set<BlockSplitter>();
  const growing = running ? lastText(parts)?.splitter : null;
  for (const [index, part] of parts.entries()) {
    if (!part.splitter) views.push({ ...part, index, part } as OtherView);
    else if (!seen.has(part.splitter)) {
      const { splitter, type } = part;
      const open = splitter === growing;
      seen.add(splitter);
      views.push({ type, index, splitter, open, version: `${splitter.length} ${open} ${splitter.ended}` });
    }
  }
  return views;
}

// The last text part (of this type) that a next one would continue; undefined if another part stands after it.
function lastText(parts: StoredPart[], type?: TextType): StoredText | undefined {
  const last = parts.findLast((part) => !WITHIN_A_TEXT.has(part.type));
  return last?.splitter && (!type || last.type === type) ? last : undefined;
}

function grownTo(splitter: BlockSplitter, text: string): BlockSplitter {
  const before = splitter.text;
  const after = text.replace(/\r\n?/g, "\n");
  // Lengths count line ends as they came, the splitter's text does not: with other line ends it is read anew.
  if (after === before && splitter.length === text.length) return splitter;
  const continues = after.startsWith(before) && splitter.length === before.length;
  const grown = splitter.length && !continues ? new BlockSplitter() : splitter;
  grown.push(text.slice(grown.length));
  return grown;
}

export function isRunning(status: Status | undefined): boolean {
  return RUNNING.has(status);
}

/** A message as it is painted. */
export function viewOf({ fields, parts, firstReceived, lastReceived, tally }: StoredMessage): MessageView {
  const running = isRunning(fields.status);
  return { ...fields, parts: viewsOf(parts, running), running, firstReceived, lastReceived, tally };
}

/** The text of a message as it is copied: text parts only. */
export function textOf(view: MessageView): string {
  return view.parts.map((part) => (part.type === "text" ? withoutMarks(part.splitter.text) : "")).join("");
}
