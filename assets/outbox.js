// The message that is being written, and the one that is on its way.
//
// Pure: knows nothing of the page. Rules:
//
// * One draft keeps one client id until it is accepted: a double click, Enter twice, or sending again after the connection
//   came back is the same message to the server.
// * A draft goes only when the server says that it has it.

export const MAX_CHARACTERS = 200_000;
export const TOO_LONG = `This message is too long: ${MAX_CHARACTERS.toLocaleString("en")} characters at most. Shorten it, or send it in parts.`;

export class Outbox {
  constructor({ newId, send }) {
    this._newId = newId;
    this._send = send; // (text, clientId, model)
    this.pending = null; // {text, id, model}: sent, not yet accepted
    this._draft = null; // {text, id}
  }

  // "empty", "long", "busy" (one is on its way), or "sending".
  submit(text, model) {
    if (!text.trim()) return "empty";
    if (text.length > MAX_CHARACTERS) return "long";
    if (this.pending && this.pending.text !== text) return "busy";
    this.pending = { text, id: this.idOf(text), model };
    this._send(text, this.pending.id, model);
    return "sending";
  }

  idOf(text) {
    if (this._draft?.text !== text) this._draft = { text, id: this._newId() };
    return this._draft.id;
  }

  // A draft from an earlier visit keeps its id.
  restore(text, id) {
    this._draft = id ? { text, id } : null;
  }

  get draftId() {
    return this._draft?.id ?? null;
  }

  // The text that was accepted; null where it is not the one on its way.
  accepted(id) {
    if (this.pending?.id !== id) return null;
    const { text } = this.pending;
    this.pending = this._draft = null;
    return text;
  }

  // Whether it was the one on its way that was refused.
  refused(id) {
    if (!this.pending || this.pending.id !== id) return false;
    this.pending = null;
    return true;
  }

  // The connection came back: what is not accepted yet may never have arrived.
  again() {
    if (this.pending) this._send(this.pending.text, this.pending.id, this.pending.model);
  }
}

// What is left in the composer when `sent` was accepted while more was being typed.
export function remainder(now, sent) {
  if (now.trim() === sent.trim()) return "";
  return now.startsWith(sent) ? now.slice(sent.length).trimStart() : now;
}

export function newId(source = globalThis.crypto) {
  // Absent on plain http from another machine.
  if (source.randomUUID) return source.randomUUID();
  const bytes = source.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
