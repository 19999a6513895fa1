// Frames in, transcript out.
//
// Knows nothing of React, of the socket, or of how anything is painted. Rules:
//
// * Before the first "open" after a (re)connect every other frame about the transcript is ignored.
// * A frame whose number is not newer than the message's is a replay: ignored. A piece whose offset is not the end of
//   the text shows a gap: the message takes no more pieces until it comes whole, and a new "open" is requested, at most
//   once a second. A piece without a place continues the one before; without one before, it shows a gap as well.
// * Offsets count UTF-16 code units, as JavaScript strings do.
// * The cost of a frame is that of its content. Subscribers are called in `flush`, which the owner calls once per paint.
// * A message that comes again keeps what is there of it, so that what is painted stays.
// * A frame with a checksum is compared with the text that is there; a difference is a gap, and is counted.

import { crc32 } from "./checksum";
import type {
  AboutFrame,
  DropFrame,
  EarlierFrame,
  EndFrame,
  FeedbackFrame,
  Frame,
  Message,
  MessagesFrame,
  OpenFrame,
  OrderFrame,
  PartFrame,
  PatchFrame,
  PieceFrame,
  Settings,
  Status,
  TranscriptFrame,
} from "./frames";
import {
  changeParts,
  endTexts,
  isRunning,
  lengthOf,
  type MessageView,
  partsOf,
  putPart,
  type StoredMessage,
  takePiece,
  viewOf,
} from "./message-parts";
import { type Clock, Resync, systemClock } from "./resync";

export { textOf } from "./message-parts";

/** The conversation without its messages; another object whenever it changes. */
export interface Meta {
  /** Whether the first "open" came. */
  opened: boolean;
  conversation: string | null;
  title: string;
  /** Whether there are messages before the first one here. */
  earlier: boolean;
  missing: boolean;
  error: string;
  /** How often the transcript came. */
  generation: number;
  ids: string[];
  answering: boolean;
  /** Whether an answer waits for an approval. */
  waiting: boolean;
  /** The id of the model that answers next, or "". */
  model: string;
  settings: Settings;
  /** Whether it is a read-only snapshot. */
  shared: boolean;
  /** Whether this tab has begun it, and its address follows. */
  begun: boolean;
  /** Those of `ids` that stand side by side, if there are several: the last ones, once a change has arrived whole. */
  compared: string[];
}

/** What frame listeners get beside frames: a checksum differed. */
export interface Mismatch {
  k: "mismatch";
  m: string;
}

export type Signal = Exclude<Frame, PieceFrame> | Mismatch;

interface Entry extends StoredMessage {
  seq: number;
  /** Pieces are missing: nothing is appended until the message comes whole. */
  gap: boolean;
  crc: number;
  /** The part that the last piece was of. */
  at?: number;
  view: MessageView | undefined;
}

type Listener = () => void;

// Frames that are not about the transcript.
const SIGNALS: ReadonlySet<unknown> = new Set(["sent", "say", "undecided", "tools"]);
const MAX_LAGS = 500; // kept of an answer

export class TranscriptStore {
  readonly stats = { frames: 0, pieces: 0, gaps: 0, replays: 0, resyncs: 0, mismatches: 0 };
  private current: Meta = {
    opened: false,
    conversation: null,
    title: "",
    earlier: false,
    missing: false,
    error: "",
    generation: 0,
    ids: [],
    answering: false,
    waiting: false,
    model: "",
    settings: {},
    shared: false,
    begun: false,
    compared: [],
  };
  // Answers that stand side by side; some of them may not be there yet, or any more.
  private beside: ReadonlySet<string> = new Set();
  private readonly entries = new Map<string, Entry>();
  private readonly dirty = new Set<string>();
  private metaDirty = false;
  private growing: Entry[] = []; // answers in the last flush
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly frameListeners = new Set<(frame: Signal) => void>();
  private readonly resyncListeners = new Set<Listener>();
  private readonly dirtyListeners = new Set<Listener>();
  private readonly resync: Resync;
  // Whether an "open" came since the connection was made.
  private synchronised = false;

  constructor({ clock = systemClock }: { clock?: Clock } = {}) {
    this.clock = clock;
    this.resync = new Resync(clock, () => {
      this.stats.resyncs += 1;
      for (const listener of this.resyncListeners) listener();
    });
  }

  private readonly clock: Clock;

  meta = (): Meta => this.current;

  /** The message as it is to be painted; another object whenever it changes. */
  message = (id: string): MessageView | undefined => this.entries.get(id)?.view;

  /** The answers that are being written or wait for an approval. */
  running = (): string[] => this.current.ids.filter((id) => isRunning(this.entries.get(id)?.fields.status));

  /** The text of a message as it arrived, which may be more than what is painted. */
  text = (id: string): string => {
    const parts = this.entries.get(id)?.parts ?? [];
    const splitters = new Set(parts.map((part) => (part.type === "text" ? part.splitter : undefined)));
    return [...splitters].map((splitter) => splitter?.text ?? "").join("");
  };

  /** Calls back in `flush` when the message, or "meta", changed. */
  subscribe = (key: string, listener: Listener): Listener => {
    const listeners = this.listeners.get(key) ?? new Set();
    this.listeners.set(key, listeners.add(listener));
    return () => listeners.delete(listener);
  };

  subscribeMeta = (listener: Listener): Listener => this.subscribe("meta", listener);

  /** Calls back at once for frames with news other than text: errors, "open", "end", a changed status, a mismatch. */
  onFrame = (listener: (frame: Signal) => void): Listener => add(this.frameListeners, listener);

  /** Calls back when the whole transcript is needed. */
  onResync = (listener: Listener): Listener => add(this.resyncListeners, listener);

  /** Calls back when there is something to flush. */
  onDirty = (listener: Listener): Listener => add(this.dirtyListeners, listener);

  feed(frame: Frame | Record<string, never> | undefined): void {
    if (!isFrame(frame)) return;
    this.stats.frames += 1;
    if (isSignal(frame)) return this.signal(frame);
    // The "open" may have come before this page listened.
    if (frame.k !== "open" && !this.synchronised) return void this.resync.request();
    this.take(frame);
    if (frame.k === "open" || frame.k === "end" || ("status" in frame && frame.status)) this.signal(frame);
    if (this.metaDirty || this.dirty.size) for (const listener of this.dirtyListeners) listener();
  }

  /** The connection was lost: what is shown stays, but only an "open" is accepted next. */
  disconnected(): void {
    if (this.synchronised) {
      for (const { fields, tally } of this.entries.values()) if (isRunning(fields.status)) tally.reconnects += 1;
    }
    this.synchronised = false;
  }

  flush(): void {
    const dirty = [...this.dirty];
    this.dirty.clear();
    this.growing = [];
    for (const id of dirty) {
      const entry = this.entries.get(id);
      if (!entry) continue;
      if (isRunning(entry.fields.status)) this.growing.push(entry);
      entry.view = viewOf(entry);
    }
    const meta = this.metaDirty;
    this.metaDirty = false;
    if (meta) this.notify("meta");
    for (const id of dirty) this.notify(id);
  }

  /** What was flushed last is on the screen, so many milliseconds after it came. */
  painted(lag: number): void {
    for (const { tally } of this.growing.splice(0)) {
      tally.lags.push(lag);
      if (tally.lags.length > MAX_LAGS) tally.lags.shift();
    }
  }

  private take(frame: TranscriptFrame): void {
    if (frame.k === undefined) this.takePiece(frame);
    else if (frame.k === "open") this.takeOpen(frame);
    else if (frame.k === "messages") this.takeMessages(frame);
    else if (frame.k === "drop") this.takeDrop(frame);
    else if (frame.k === "order") this.takeOrder(frame);
    else if (frame.k === "feedback") this.takeFeedback(frame);
    else if (frame.k === "about") this.takeAbout(frame);
    else if (frame.k === "earlier") this.takeEarlier(frame);
    else if (frame.k === "part") this.takePart(frame);
    else if (frame.k === "patch") this.takePatch(frame);
    else if (frame.k === "end") this.takeEnd(frame);
  }

  private takeOpen(frame: OpenFrame): void {
    this.resync.cancel();
    this.synchronised = true;
    const ids = frame.messages.map((message) => message.id);
    for (const id of this.entries.keys()) if (!ids.includes(id)) this.entries.delete(id);
    for (const message of frame.messages) this.put(message);
    this.beside = new Set(frame.compared);
    this.setMeta({
      opened: true,
      conversation: frame.conversation ?? null,
      title: frame.title ?? "",
      earlier: !!frame.earlier,
      missing: !!frame.missing,
      error: frame.error ?? "",
      generation: this.current.generation + 1,
      ids,
      model: frame.model ?? "",
      settings: frame.settings ?? {},
      shared: !!frame.shared,
      begun: !!frame.begun,
    });
  }

  private takeMessages({ messages }: MessagesFrame): void {
    for (const message of messages) this.put(message);
    const { ids } = this.current;
    const added = messages.map(({ id }) => id).filter((id) => !ids.includes(id));
    this.setMeta(added.length ? { ids: [...ids, ...added] } : {});
  }

  private takeDrop({ m }: DropFrame): void {
    this.entries.delete(m);
    this.setMeta({ ids: this.current.ids.filter((id) => id !== m) });
  }

  private takeOrder({ ids, earlier, versions = {} }: OrderFrame): void {
    for (const id of this.entries.keys()) if (!ids.includes(id)) this.entries.delete(id);
    for (const [id, list] of Object.entries(versions)) {
      const entry = this.entries.get(id);
      if (!entry) continue;
      entry.fields.versions = list.length ? list : undefined;
      this.dirty.add(id);
    }
    this.setMeta({ ids, earlier });
  }

  private takeFeedback({ m, feedback }: FeedbackFrame): void {
    const entry = this.entries.get(m);
    if (!entry) return;
    entry.fields.feedback = feedback ?? undefined;
    this.dirty.add(m);
  }

  private takeAbout({ title, model, settings, compared }: AboutFrame): void {
    this.beside = new Set(compared);
    this.setMeta({ title, model, settings });
  }

  private takeEarlier({ messages, earlier }: EarlierFrame): void {
    const added = messages.filter((message) => !this.entries.has(message.id));
    for (const message of added) this.put(message);
    this.setMeta({ ids: [...added.map((message) => message.id), ...this.current.ids], earlier: !!earlier });
  }

  private takePiece({ m, s, p, o, t, y, c }: PieceFrame): void {
    const entry = this.entryFor(m, s);
    if (!entry) return;
    const at = p ?? entry.at;
    const before = at === undefined ? undefined : entry.parts[at];
    const type = y ?? (p === undefined && before?.splitter ? before.type : "text");
    if (at === undefined || !takePiece(entry.parts, at, o ?? before?.splitter?.length ?? 0, t, type))
      return this.markGap(entry);
    entry.at = at;
    this.stats.pieces += 1;
    entry.tally.pieces += 1;
    if (entry.parts[at].type === "text") entry.crc = crc32(t, entry.crc);
    if (c !== undefined && c !== entry.crc) return this.markMismatch(entry);
    this.advance(entry, s);
  }

  private takePart({ m, s, p, part, status }: PartFrame): void {
    const entry = this.entryFor(m, s);
    if (!entry) return;
    if (!putPart(entry.parts, p, part)) return this.markGap(entry);
    this.advance(entry, s, status);
  }

  private takePatch({ m, s, set, status }: PatchFrame): void {
    const entry = this.entryFor(m, s);
    if (!entry) return;
    if (!changeParts(entry.parts, set)) return this.markGap(entry);
    this.advance(entry, s, status);
  }

  private takeEnd({ m, s, k: _, length, c, set, ...fields }: EndFrame): void {
    const entry = this.entryFor(m, s);
    if (!entry) return;
    if (set && !changeParts(entry.parts, set)) return this.markGap(entry);
    if (length !== undefined && lengthOf(entry.parts) !== length) return this.markGap(entry);
    if (c !== undefined && c !== entry.crc) return this.markMismatch(entry);
    entry.fields.verified = c !== undefined;
    Object.assign(entry.fields, fields);
    endIfOver(entry);
    this.advance(entry, s);
    this.setMeta({});
  }

  // The entry that a numbered frame is for; null if there is nothing to do.
  private entryFor(id: string, seq: number | undefined): Entry | null {
    const entry = this.entries.get(id);
    if (!entry) {
      this.resync.request();
      return null;
    }
    if (seq === undefined || seq > entry.seq) return entry.gap ? null : entry;
    this.stats.replays += 1;
    return null;
  }

  private advance(entry: Entry, seq: number | undefined, status?: Status): void {
    if (status) {
      entry.fields.status = status;
      this.setMeta({});
    }
    entry.seq = seq ?? entry.seq;
    entry.lastReceived = this.clock.now();
    this.dirty.add(entry.fields.id);
  }

  // A whole message: keeps what is there of it already.
  private put(message: Message): void {
    const { parts: _, text = "", seq = 0, ...rest } = message;
    const old = this.entries.get(message.id);
    const now = this.clock.now();
    const fields = old?.fields.verified && old.seq === seq ? { ...rest, verified: true } : rest;
    const entry: Entry = {
      fields,
      seq,
      gap: false,
      firstReceived: old?.firstReceived ?? now,
      lastReceived: now,
      view: old?.view,
      crc: isRunning(fields.status) ? crc32(text) : 0,
      tally: old?.tally ?? { pieces: 0, gaps: 0, reconnects: 0, lags: [] },
      parts: partsOf(message, old?.parts),
    };
    this.entries.set(message.id, entry);
    endIfOver(entry);
    // `meta` lists it from now on, and a rendering may come before the next flush.
    entry.view ??= viewOf(entry);
    this.dirty.add(message.id);
  }

  private markGap(entry: Entry): void {
    entry.gap = true;
    entry.tally.gaps += 1;
    this.stats.gaps += 1;
    this.resync.request();
  }

  // The text is not the server's: it is discarded, so that the next "open" replaces it.
  private markMismatch(entry: Entry): void {
    this.stats.mismatches += 1;
    this.signal({ k: "mismatch", m: entry.fields.id });
    entry.parts = [];
    this.markGap(entry);
  }

  private setMeta(change: Partial<Meta>): void {
    const meta = { ...this.current, ...change };
    meta.answering = meta.ids.some((id) => isRunning(this.entries.get(id)?.fields.status));
    meta.waiting = meta.ids.some((id) => this.entries.get(id)?.fields.status === "waiting");
    const compared = this.beside.size ? meta.ids.filter((id) => this.beside.has(id)) : [];
    meta.compared = compared.length > 1 ? compared : [];
    this.current = meta;
    this.metaDirty = true;
  }

  private signal(frame: Signal): void {
    for (const listener of this.frameListeners) listener(frame);
  }

  private notify(key: string): void {
    for (const listener of this.listeners.get(key) ?? []) listener();
  }
}

function isFrame(frame: Frame | Record<string, never> | undefined): frame is Frame {
  return !!frame && (frame.k !== undefined || frame.m !== undefined);
}

function isSignal(frame: Frame): frame is Exclude<Frame, TranscriptFrame> {
  return SIGNALS.has(frame.k);
}

function add<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function endIfOver(entry: Entry): void {
  if (!isRunning(entry.fields.status)) endTexts(entry.parts);
}
