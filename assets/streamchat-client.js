// A client of streamchat's HTTP API for browsers, without dependencies: start an answer, follow it, stop it.
//
//   const run = await new Streamchat().start("Hello");
//   for await (const event of run) console.log(event.seq, event.type);   // or: start("Hello", { onEvent }); run.done
//
// * Each event comes once, in order. A lost or silent connection is opened again behind the last one, after a pause.
// * A run is the server's: to leave the loop, or to abort the signal, ends the reading. Only `stop` ends the run.
// * The parser is that of the standard (WHATWG HTML 9.2), however the bytes are cut.

/** @typedef {{seq: number, type: string, [field: string]: any}} RunEvent an event as on the wire, or a `snapshot` */
/** @typedef {{onEvent?: (event: RunEvent, run: Run) => void, signal?: AbortSignal}} Reading */
/** @typedef {{[id in "conversationId"|"clientMessageId"|"parentId"|"model"|"system"]?: string} & {options?: {}}} Ask */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS, SILENCE_MS] = [250, 8_000, 35_000]; // the server says something every 10 s
const MAX_EVENT = 16 * 1024 * 1024;
const ENDINGS = ["finished", "stopped", "failed", "interrupted"];

/** What the server said no with: its sentence, its word for it (`kind`), its HTTP `status`; `retryAfter` in ms. */
export class ApiError extends Error {
  constructor(message, { kind = "error", status = 0, retryAfter = 0 } = {}) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Bytes in, server-sent events out. */
export class EventParser {
  lastEventId = "";
  retry = /** @type {number | undefined} */ (undefined);
  _decoder = new TextDecoder(); // drops one byte order mark
  _event = { name: "", data: /** @type {string[]} */ ([]), id: /** @type {string | undefined} */ (undefined) };
  _line = "";
  _size = 0;
  _afterCr = false;
  /** The events that these bytes complete. @param {Uint8Array} bytes @returns {{event: string, data: string, id: string}[]} */
  feed(bytes) {
    const events = /** @type {any[]} */ ([]);
    let text = this._decoder.decode(bytes, { stream: true });
    if (this._afterCr && text) [text, this._afterCr] = [text.replace(/^\n/, ""), false];
    this._afterCr ||= text.endsWith("\r");
    let start = 0;
    for (const end of text.matchAll(/\r\n|\n|\r/g)) {
      this._take(this._line + text.slice(start, end.index), events);
      this._line = "";
      start = end.index + end[0].length;
    }
    this._line += text.slice(start);
    if ((this._size += text.length) > MAX_EVENT) throw new ApiError("The server sent an event that is too large.");
    return events;
  }

  _take(line, events) {
    if (line === "") return this._dispatch(events);
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (field === "data") this._event.data.push(value);
    else if (field === "event") this._event.name = value;
    else if (field === "id" && !value.includes("\0")) this._event.id = value;
    else if (field === "retry" && /^\d{1,15}$/.test(value)) this.retry = Number(value);
  }

  _dispatch(events) {
    const { name, data, id } = this._event;
    this.lastEventId = id ?? this.lastEventId;
    if (data.length) events.push({ event: name || "message", data: data.join("\n"), id: this.lastEventId });
    this._event = { name: "", data: [], id: undefined };
    this._size = 0;
  }
}

export class Streamchat {
  /** `patience`: ms of tries without a sign of life. @param {{url?: string, patience?: number, headers?: {}}} [options] */
  constructor({ url = "", patience = 120_000, headers = {} } = {}) {
    this.url = url.replace(/\/+$/, "");
    Object.assign(this, { patience, headers });
  }
  /** Ask a model; the same clientMessageId is the same run. @param {string|{}[]} message @param {Ask & Reading} [how] */
  async start(message, { conversationId, clientMessageId = newId(), parentId, model, system, options, ...reading } = {}) {
    const ids = { conversation_id: conversationId, client_message_id: clientMessageId, parent_id: parentId };
    const begun = await this._ask("/api/runs", { ...json({ message, model, system, options, ...ids }), ...reading });
    return new Run(this, begun.run_id, { conversationId: begun.conversation_id, ...reading });
  }
  /** Read a run, from its beginning or behind event `after`. @param {string} id @param {{after?: number} & Reading} [how] */
  follow = (id, how = {}) => new Run(this, id, how);
  /** The run so far: `{run_id, conversation_id, status, seq, message}`. @param {string} id @param {AbortSignal} [signal] */
  get = (id, signal) => this._ask(path(id), { signal });
  /** Stop a run; nothing happens to one that has ended. @param {string} id */
  stop = (id) => this._ask(path(id), { method: "DELETE" });
  /** A word about a call that waits. @param {string} id @param {{call_id: string, approve: boolean, [more: string]: any}} said */
  decide = async (id, said) => (await this._fetch(`${path(id)}/decisions`, json(said))).json();
  /** A page of conversations: `{conversations, next}`. @param {AbortSignal} [signal] */
  conversations = (signal) => this._ask("/api/conversations", { signal });
  /** All messages and events of a conversation, those to come too, each with its `cursor`; it ends if that is deleted. */
  async *followConversation(id, { after = "", signal } = /** @type {{after?: string, signal?: AbortSignal}} */ ({})) {
    for (let [pauses, cursor] = [new Pauses(this.patience), after]; ; ) {
      const reading = new AbortController();
      try {
        const from = `/api/conversations/${encodeURIComponent(id)}/events?after=${encodeURIComponent(cursor)}`;
        const { read } = await this._connect(from, pauses, reading, signal);
        for (let events = await read(); events; events = await read()) {
          for (const { data, id: at } of events) {
            if (data === "[DONE]") return;
            pauses.reset();
            cursor = at || cursor;
            yield { ...JSON.parse(data), cursor };
          }
        }
        throw new TypeError("The stream ended.");
      } catch (error) {
        await pauses.wait(error, signal);
      } finally {
        reading.abort();
      }
    }
  }
  /** @param {RequestInit} request @returns {Promise<any>} */
  async _ask(address, request) {
    for (const pauses = new Pauses(this.patience); ; ) {
      try {
        return await (await this._fetch(address, request)).json();
      } catch (error) {
        await pauses.wait(error, request.signal);
      }
    }
  }

  async _fetch(address, request) {
    const headers = { ...this.headers, ...request?.headers };
    const answer = await fetch(this.url + address, { cache: "no-store", ...request, headers });
    if (answer.ok) return answer;
    const { message, kind } = (await answer.json().catch(() => undefined))?.error ?? {};
    const retryAfter = 1000 * (Number(answer.headers.get("Retry-After")) || 0);
    throw new ApiError(message ?? `The server answered ${answer.status}.`, { kind, status: answer.status, retryAfter });
  }

  /** A connection to a stream. `read`: the next events, possibly none; `undefined` at its end. Throws if it falls silent. */
  async _connect(address, pauses, reading, outer) {
    const signal = outer ? AbortSignal.any([reading.signal, outer]) : reading.signal;
    const soon = (work, timer = setTimeout(() => reading.abort(), SILENCE_MS)) => work.finally(() => clearTimeout(timer));
    const answer = await soon(this._fetch(address, { signal }));
    const [parser, reader, opened] = [new EventParser(), answer.body?.getReader(), Date.now()];
    const read = async () => {
      const { done, value } = await soon(reader.read());
      if (!done) pauses.heard(opened);
      return done ? undefined : parser.feed(value);
    };
    return { status: answer.status, parser, read, signal };
  }
}

/** One answer, as far as it was read: `seq`, `text`, `ending`. With `onEvent` it reads itself; `done` is its ending. */
export class Run {
  text = "";
  ending = /** @type {RunEvent | undefined} */ (undefined);
  /** @param {Streamchat} client @param {string} id @param {{after?: number, conversationId?: string} & Reading} how */
  constructor(client, id, { after = 0, conversationId, onEvent, signal }) {
    this.id = id;
    this.conversationId = conversationId;
    this.seq = after;
    this._from = { client, signal, retry: 0 };
    const tell = async () => {
      for await (const event of this) onEvent?.(event, this);
      return this.ending;
    };
    this.done = onEvent && tell();
    this.done?.catch(() => {}); // whoever awaits it is told
  }
  stop = () => this._from.client.stop(this.id);
  /** A loop that was left is taken up by the next one. @returns {AsyncGenerator<RunEvent>} */
  async *[Symbol.asyncIterator]() {
    for (let [pauses, furthest] = [new Pauses(this._from.client.patience), this.seq]; !this.ending; ) {
      const reading = new AbortController();
      try {
        for await (const event of this._connection(pauses, reading)) {
          if (event.seq > furthest) pauses.reset();
          furthest = Math.max(furthest, event.seq);
          yield event;
        }
        if (!this.ending) throw new TypeError("The stream ended before the answer.");
      } catch (error) {
        await pauses.wait(error, this._from.signal, this._from.retry);
      } finally {
        reading.abort();
      }
    }
  }

  async *_connection(pauses, reading) {
    const { client, signal: outer } = this._from;
    const { status, parser, read, signal } = await client._connect(`${path(this.id)}/events?after=${this.seq}`, pauses, reading, outer);
    const whole = async () => this._snapshot(await client.get(this.id, signal)); // it has ended, and all was read
    if (status === 204) return yield await whole();
    while (!this.ending) {
      const events = await read();
      if (!events) return;
      for (const sent of events) {
        const event = sent.data === "[DONE]" && !this.ending ? await whole() : this._take(sent);
        if (event) yield event;
      }
      this._from.retry = parser.retry ?? 0;
    }
  }

  _take({ event: type, id, data }) {
    if (type === "message" || this.ending) return; // [DONE], which follows the ending
    const [seq, event] = [Number(id), JSON.parse(data)];
    if (type === "snapshot") return this._snapshot({ ...event, seq });
    if (seq <= this.seq) return;
    if (seq !== this.seq + 1) throw new TypeError(`Event ${this.seq + 1} is missing.`);
    this.seq = seq;
    if (type === "text-delta") this.text += event.text;
    if (ENDINGS.includes(type)) this.ending = { ...event, seq, type };
    return { ...event, seq, type };
  }

  _snapshot({ seq, message }) {
    Object.assign(this, { seq, text: message.text });
    if (ENDINGS.includes(message.status)) this.ending = { seq, ...message.error, type: message.status };
    return { seq, type: "snapshot", message };
  }
}

const json = (body) => ({ method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
const path = (id) => `/api/runs/${encodeURIComponent(id)}`;
export const newId = () => String.fromCharCode(...crypto.getRandomValues(new Uint8Array(24)).map((byte) => 97 + (byte % 16)));

/** Pauses before the next try: up to 0.25, 0.5, 1 … 8 s, by lot. They end after `patience` without a sign of life. */
class Pauses {
  constructor(patience) {
    this._patience = patience;
    this.reset();
  }
  reset() {
    [this._since, this._most] = [0, FIRST_PAUSE_MS];
  }
  /** A connection brought something, if only a ping. One that lasts is a sign of life; one that breaks at once is none. */
  heard(opened) {
    if (Date.now() - opened > Math.min(LONGEST_PAUSE_MS, this._patience)) this.reset();
  }
  /** Waits. Throws what was wrong if no further try makes sense. */
  async wait(error, signal, asked = 0) {
    const final = signal?.aborted || (error instanceof ApiError && error.status < 500 && error.status !== 429);
    const pause = (error.retryAfter || asked) + Math.random() * this._most;
    if (final || Date.now() - (this._since ||= Date.now()) + pause > this._patience) throw signal?.reason ?? error;
    this._most = Math.min(this._most * 2, LONGEST_PAUSE_MS);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
