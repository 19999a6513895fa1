// Frames in, transcript out.
//
// Knows nothing of React, of the socket, or of how anything is painted. Rules:
//
// * Before the first "open" after a (re)connect every other frame about the transcript is ignored.
// * A piece whose number is not newer than the message's is a replay: ignored. A piece whose offset is not the end of what
//   is there shows a gap: the message takes no more pieces until it comes whole, and a new "open" is asked for, at most
//   once a second.
// * Offsets count UTF-16 code units, as JavaScript strings do.
// * Taking in a frame costs what the frame holds. Subscribers are told in `flush`, which the owner calls once per paint.
// * A message that comes again keeps what it has of it, so that what is painted stays.
// * A frame with a checksum is compared with the text that is there; a difference is a gap, and is counted.

import { crc32 } from "./checksum.js";
import { changeParts, endParts, isRunning, lengthOf, partsOf, putPart, takePiece, viewOf } from "./parts.js";
import { Resync, systemClock } from "./resync.js";

export { textOf } from "./parts.js";
const SAYING = new Set(["sent", "say", "undecided", "tools"]); // not about the transcript
const nothing = { opened: false, conversation: null, title: "", earlier: false, missing: false, error: "", generation: 0 };

export class TranscriptStore {
  constructor({ onResync, onDirty, clock = systemClock } = {}) {
    this.onDirty = onDirty ?? (() => {}); // something is to be flushed
    this.stats = { frames: 0, pieces: 0, gaps: 0, replays: 0, resyncs: 0, mismatches: 0 };
    this._clock = clock;
    this._meta = { ...nothing, ids: [], answering: false };
    this._entries = new Map();
    this._dirty = new Set();
    this._metaDirty = false;
    this._listeners = new Map();
    this._frameListeners = new Set();
    this._resync = new Resync(clock, () => {
      this.stats.resyncs += 1;
      onResync?.();
    });
    this._believes = false;
  }

  // {opened, conversation, title, earlier, missing, error, ids, answering, generation}; replaced whenever it changes.
  meta = () => this._meta;

  // The message as it is to be painted; replaced whenever it changes.
  message = (id) => this._entries.get(id)?.view;

  // `key` is "meta" or a message id.
  subscribe = (key, listener) => {
    const listeners = this._listeners.get(key) ?? new Set();
    this._listeners.set(key, listeners.add(listener));
    return () => listeners.delete(listener);
  };

  // Frames that say something, open, end or change a status, at once, and "mismatch" where a checksum told one.
  onFrame = (listener) => {
    this._frameListeners.add(listener);
    return () => this._frameListeners.delete(listener);
  };

  feed(frame) {
    if (!frame || (frame.k === undefined && frame.m === undefined)) return;
    this.stats.frames += 1;
    const take = TAKERS[frame.k ?? "piece"];
    if (SAYING.has(frame.k)) return this._tell(frame);
    if (!take) return;
    // The "open" may have come before this page listened.
    if (frame.k !== "open" && !this._believes) return void this._resync.ask();
    take.call(this, frame);
    if (frame.k === "open" || frame.k === "end" || frame.status) this._tell(frame);
    if (this._metaDirty || this._dirty.size) this.onDirty();
  }

  // The connection was lost: what is shown stays, but only an "open" is believed.
  disconnected() {
    if (this._believes) {
      for (const { fields, tally } of this._entries.values()) if (isRunning(fields.status)) tally.reconnects += 1;
    }
    this._believes = false;
  }

  flush() {
    const dirty = [...this._dirty];
    this._dirty.clear();
    for (const id of dirty) {
      const entry = this._entries.get(id);
      if (entry) entry.view = viewOf(entry);
    }
    const meta = this._metaDirty;
    this._metaDirty = false;
    if (meta) this._notify("meta");
    for (const id of dirty) this._notify(id);
  }

  get dirty() {
    return this._metaDirty || this._dirty.size > 0;
  }

  _open(frame) {
    this._resync.cancel();
    this._believes = true;
    const ids = frame.messages.map((message) => message.id);
    for (const id of this._entries.keys()) if (!ids.includes(id)) this._entries.delete(id);
    for (const message of frame.messages) this._put(message);
    this._setMeta({
      opened: true,
      conversation: frame.conversation ?? null,
      title: frame.title ?? "",
      earlier: !!frame.earlier,
      missing: !!frame.missing,
      error: frame.error ?? "",
      generation: this._meta.generation + 1,
      ids,
    });
  }

  _message({ message, after }) {
    this._put(message);
    const { ids } = this._meta;
    if (ids.includes(message.id)) return this._setMeta({});
    const at = after ? ids.indexOf(after) + 1 : 0;
    this._setMeta({ ids: at ? [...ids.slice(0, at), message.id, ...ids.slice(at)] : [...ids, message.id] });
  }

  _drop({ m }) {
    this._entries.delete(m);
    this._setMeta({ ids: this._meta.ids.filter((id) => id !== m) });
  }

  _earlier({ messages, earlier }) {
    const fresh = messages.filter((message) => !this._entries.has(message.id));
    for (const message of fresh) this._put(message);
    this._setMeta({ ids: [...fresh.map((message) => message.id), ...this._meta.ids], earlier: !!earlier });
  }

  _piece({ m, s, p, o, t, y, c }) {
    const entry = this._current(m, s);
    if (!entry) return;
    if (!takePiece(entry.parts, p, o, t, y ?? "text")) return this._gap(entry);
    this.stats.pieces += 1;
    entry.tally.pieces += 1;
    if (entry.parts[p].type === "text") entry.crc = crc32(t, entry.crc);
    if (c !== undefined && c !== entry.crc) return this._mismatch(entry);
    this._advanced(entry, s);
  }

  _part({ m, s, p, part, status }) {
    const entry = this._current(m, s);
    if (!entry) return;
    if (!putPart(entry.parts, p, part)) return this._gap(entry);
    this._advanced(entry, s, status);
  }

  // What changed of tool calls, and perhaps of the message's status.
  _patch({ m, s, set, status }) {
    const entry = this._current(m, s);
    if (!entry) return;
    if (!changeParts(entry.parts, set)) return this._gap(entry);
    this._advanced(entry, s, status);
  }

  _end({ m, s, k: _, length, c, set, ...ending }) {
    const entry = this._current(m, s);
    if (!entry) return;
    if (set && !changeParts(entry.parts, set)) return this._gap(entry);
    if (length !== undefined && lengthOf(entry.parts) !== length) return this._gap(entry);
    if (c !== undefined && c !== entry.crc) return this._mismatch(entry);
    entry.fields.verified = c !== undefined;
    Object.assign(entry.fields, ending);
    this._settle(entry);
    this._advanced(entry, s);
    this._setMeta({});
  }

  // The entry that a numbered frame is for; null where there is nothing to do.
  _current(id, seq) {
    const entry = this._entries.get(id);
    if (!entry) return void this._resync.ask();
    if (seq > entry.seq) return entry.gap ? null : entry;
    this.stats.replays += 1;
    return null;
  }

  _advanced(entry, seq, status) {
    if (status) {
      entry.fields.status = status;
      this._setMeta({});
    }
    entry.seq = seq;
    entry.heard = this._clock.now();
    this._dirty.add(entry.fields.id);
  }

  // A whole message: keeps what is there of it already.
  _put(message) {
    const { parts: _, text = "", seq, ...fields } = message;
    const old = this._entries.get(message.id);
    const now = this._clock.now();
    const entry = { fields, seq: seq ?? 0, gap: false, began: old?.began ?? now, heard: now, view: old?.view };
    entry.crc = isRunning(fields.status) ? crc32(text) : 0;
    entry.tally = old?.tally ?? { pieces: 0, gaps: 0, reconnects: 0 };
    if (old?.fields.verified && old.seq === entry.seq) fields.verified = true;
    entry.parts = partsOf(message, old?.parts);
    this._entries.set(message.id, entry);
    this._settle(entry);
    this._dirty.add(message.id);
  }

  _settle(entry) {
    if (!isRunning(entry.fields.status)) endParts(entry.parts);
  }

  _gap(entry) {
    entry.gap = true;
    entry.tally.gaps += 1;
    this.stats.gaps += 1;
    this._resync.ask();
  }

  // What is there is not what was said: it is thrown away, so that the next "open" replaces it.
  _mismatch(entry) {
    this.stats.mismatches += 1;
    this._tell({ k: "mismatch", m: entry.fields.id });
    entry.parts = [];
    this._gap(entry);
  }

  _setMeta(change) {
    const meta = { ...this._meta, ...change };
    meta.answering = meta.ids.some((id) => isRunning(this._entries.get(id)?.fields.status));
    this._meta = meta;
    this._metaDirty = true;
  }

  _tell(frame) {
    for (const listener of this._frameListeners) listener(frame);
  }

  _notify(key) {
    this._listeners.get(key)?.forEach((listener) => listener());
  }
}

const TAKERS = {
  open: TranscriptStore.prototype._open,
  message: TranscriptStore.prototype._message,
  drop: TranscriptStore.prototype._drop,
  earlier: TranscriptStore.prototype._earlier,
  piece: TranscriptStore.prototype._piece,
  part: TranscriptStore.prototype._part,
  patch: TranscriptStore.prototype._patch,
  end: TranscriptStore.prototype._end,
};
