// <stream-chat>: a conversation in any page, as an element without dependencies.
//
//   <script type="module" src="http://localhost:3000/stream-chat.js"></script>
//   <stream-chat url="http://localhost:3000" conversation="…" history></stream-chat>
//
// Attributes: `url` of the server, `conversation` (none: a new one), `model`, `token` (sent as a bearer token),
// `history` (a list of conversations), `heading`, `placeholder`. Events: `conversation` (its id is in `detail`), `ended`.
// Methods: `send(text)`, `stop()`, `open(id)`.
//
// * It follows the conversation, not what it started itself: what another device asks is shown too, and a reload, a lost
//   connection or a restart of the server goes on behind the last event.
// * Text of a model becomes nodes, never HTML. Everything is in a shadow tree; `--stream-chat-…` properties theme it.

import { newId, Streamchat } from "./streamchat-client.js";

const ENDINGS = ["finished", "stopped", "failed", "interrupted"];
const PATIENCE_MS = 10_000; // of requests: what takes longer is said, and nothing is lost; reading never gives up
const FENCE = /^\s*(```|~~~)/;
const STRINGS = {
  approve: "Approve",
  answer: "Answer",
  conversations: "Conversations",
  deny: "Deny",
  ended: "Complete",
  failed: "The answer failed.",
  generating: "Generating",
  interrupted: "The answer was interrupted.",
  message: "Message",
  newChat: "New chat",
  question: "You",
  retry: "Try again",
  send: "Send",
  sending: "Sending",
  sources: "Sources",
  stop: "Stop",
  stopped: "Stopped",
  thinking: "Thinking",
  waiting: "Waiting for your approval",
};
const STYLE = `
:host { --background: var(--stream-chat-background, light-dark(#fff, #16181d));
  --text: var(--stream-chat-text, light-dark(#1c1e21, #e7e9ec)); --muted: var(--stream-chat-muted, light-dark(#5b6068, #a4aab4));
  --accent: var(--stream-chat-accent, light-dark(#1d5fd1, #7fb0ff)); --on-accent: var(--stream-chat-on-accent, light-dark(#fff, #10131a));
  --border: var(--stream-chat-border, light-dark(#d9dce1, #363b45)); --surface: var(--stream-chat-surface, light-dark(#f2f4f7, #20242c));
  --radius: var(--stream-chat-radius, 10px); color-scheme: var(--stream-chat-scheme, light dark); display: flex; min-block-size: 20rem;
  block-size: 100%; background: var(--background); color: var(--text); font: var(--stream-chat-font, 1rem/1.5 system-ui, sans-serif); }
:host([hidden]) { display: none; }
* { box-sizing: border-box; }
nav { inline-size: 14rem; overflow: auto; border-inline-end: 1px solid var(--border); padding: .5rem; flex: none; }
nav ul { list-style: none; margin: .5rem 0 0; padding: 0; }
nav li button { inline-size: 100%; text-align: start; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; border-color: transparent; background: none; }
nav [aria-current] { background: var(--surface); }
section { display: flex; flex-direction: column; flex: 1; min-inline-size: 0; }
h2 { font-size: 1rem; margin: 0; padding: .6rem 1rem; border-block-end: 1px solid var(--border); }
[role="log"] { flex: 1; overflow: auto; padding: 1rem; overflow-wrap: anywhere; }
article { margin-block-end: 1rem; }
article[data-role="user"] { background: var(--surface); border-radius: var(--radius); padding: .6rem .9rem; margin-inline-start: 15%; white-space: pre-wrap; }
p, ul, ol, pre, h3, blockquote, table { margin: 0 0 .6rem; } blockquote { border-inline-start: 3px solid var(--border); padding-inline-start: .8rem; }
table { display: block; overflow: auto; border-collapse: collapse; } th, td { border: 1px solid var(--border); padding: .2rem .6rem; text-align: start; } h3 { font-size: 1.05em; }
pre { background: var(--surface); border-radius: var(--radius); padding: .7rem; overflow: auto; white-space: pre; }
code { font-family: ui-monospace, monospace; font-size: .92em; } a { color: var(--accent); }
details { border: 1px solid var(--border); border-radius: var(--radius); padding: .4rem .7rem; margin-block-end: .6rem; }
details pre { white-space: pre-wrap; max-block-size: 16rem; } summary { cursor: pointer; color: var(--muted); }
.error { color: light-dark(#b3261e, #ff9a91); } .status { color: var(--muted); font-size: .9em; padding: 0 1rem; min-block-size: 1.5em; }
form { display: flex; gap: .5rem; padding: .6rem 1rem 1rem; align-items: end; }
textarea { flex: 1; font: inherit; color: inherit; background: var(--surface); border: 1px solid var(--border); border-radius: var(--radius);
  padding: .55rem .7rem; resize: none; field-sizing: content; min-block-size: 44px; max-block-size: 40vh; }
button { font: inherit; min-block-size: 44px; padding: .3rem .9rem; border-radius: var(--radius); border: 1px solid var(--border); background: var(--surface); color: inherit; cursor: pointer; }
button.primary { background: var(--accent); color: var(--on-accent); border-color: transparent; } button:disabled { opacity: .5; cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media (max-width: 40rem) { nav { display: none; } }
`;

/** @param {string} tag @param {Record<string, any>} [fields] @param {(Node | string)[]} children @returns {any} */
function h(tag, fields = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** A link, or the text `whole` if the address is none for a browser. @param {string} address @param {string} label */
function link(address, label, whole = label) {
  if (!/^https?:\/\//i.test(address)) return whole;
  return h("a", { href: address, rel: "noopener noreferrer nofollow", target: "_blank" }, label);
}

// In linear time: no mark is looked for behind the place where the next one of its kind begins.
const MARKS = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^[\]]*)\]\(((?:[^)\s\]]|\](?!\())+)\)/g;

/** Inline marks of Markdown as nodes. @param {string} text @returns {(Node | string)[]} */
function inline(text) {
  const nodes = [];
  let rest = 0;
  for (const match of text.matchAll(MARKS)) {
    nodes.push(text.slice(rest, match.index));
    rest = match.index + match[0].length;
    const [whole, code, strong, em, label, address] = match;
    if (code !== undefined) nodes.push(h("code", {}, code));
    else if (strong !== undefined) nodes.push(h("strong", {}, strong));
    else if (em !== undefined) nodes.push(h("em", {}, em));
    else nodes.push(link(address, label, whole));
  }
  nodes.push(text.slice(rest));
  return nodes;
}

/** Add a line of a table; not the one that divides it. @param {any} table @param {string} line */
function addRow(table, line) {
  if (/^[\s|:-]+$/.test(line)) return;
  const tag = table.hasChildNodes() ? "td" : "th";
  const texts = line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/);
  table.append(h("tr", {}, ...texts.map((text) => h(tag, {}, ...inline(text.trim())))));
}

/** Blocks of Markdown: what a line looks like, and what it adds. The last one takes every line. */
const BLOCKS = /** @type {[RegExp, (into: (tag: string) => any, match: RegExpMatchArray) => void][]} */ ([
  [/^\s*$/, (into) => into("")],
  [/^\s*[-*+]\s+(.*)/, (into, match) => into("ul").append(h("li", {}, ...inline(match[1])))],
  [/^\s*\d{1,9}[.)]\s+(.*)/, (into, match) => into("ol").append(h("li", {}, ...inline(match[1])))],
  [/^#{1,6}\s+(.*)/, (into, match) => into("h3", into("")).append(...inline(match[1]))],
  [/^\s*\|.*/, (into, match) => addRow(into("table"), match[0])],
  [/^>\s?(.*)/, (into, match) => into("blockquote").append(...inline(match[1]), "\n")],
  [/.*/, (into, match) => into("p").append(...inline(match[0]), "\n")],
]);

/** The common part of Markdown as nodes: paragraphs, headings, lists, tables, quotes, code. @param {string} text @returns {Node[]} */
export function markdown(text) {
  const nodes = /** @type {any[]} */ ([]);
  let [open, code] = [/** @type {any} */ (undefined), /** @type {any} */ (undefined)];
  const into = (tag) => {
    if (!tag) open = undefined;
    else if (open?.localName !== tag) nodes.push((open = h(tag)));
    return open;
  };
  for (const line of text.split("\n")) {
    if (FENCE.test(line)) {
      into("");
      code = code ? undefined : h("code");
      if (code) nodes.push(h("pre", { tabindex: 0 }, code));
      continue;
    }
    if (code) code.append(`${line}\n`);
    else {
      const [pattern, add] = BLOCKS.find(([pattern]) => pattern.test(line));
      add(into, line.match(pattern));
    }
  }
  return nodes;
}

/** What an event changes in the parts of an answer. @param {any[]} parts @param {any} event */
export function fold(parts, event) {
  const last = parts[parts.length - 1];
  const call = parts.find((part) => part.type === "tool_call" && part.id === event.call_id);
  switch (event.type) {
    case "text-delta":
    case "reasoning-delta": {
      const type = event.type.slice(0, -6);
      if (last?.type === type) last.text += event.text;
      else parts.push({ type, text: event.text });
      break;
    }
    case "tool-call-start":
      parts.push({ type: "tool_call", id: event.call_id, name: event.name, state: "receiving" });
      break;
    case "tool-call-ready":
      if (call) Object.assign(call, { arguments: event.arguments, state: "running" });
      break;
    case "tool-progress":
      if (call) call.progress = event.text;
      break;
    case "tool-result":
      if (call) Object.assign(call, { state: event.state ?? "done", result: event.result, error: event.error });
      break;
    case "source":
    case "notice":
      parts.push({ ...event });
      break;
    case "waiting":
      for (const part of parts) if (event.call_ids?.includes(part.id)) part.state = "awaiting-approval";
  }
}

export class StreamChat extends HTMLElement {
  static observedAttributes = ["url", "conversation", "token", "history", "heading", "placeholder"];
  strings = { ...STRINGS };
  _messages = /** @type {Map<string, any>} */ (new Map());
  _leaf = /** @type {string | undefined} */ (undefined);
  _following = /** @type {AbortController | undefined} */ (undefined);
  _visit = 0; // grows with each choice of what is shown
  _painting = false;
  _sending = false;
  _unsent = /** @type {{key: string, id: string} | undefined} */ (undefined);
  _asked = /** @type {string | undefined} */ (undefined);
  _error = "";

  connectedCallback() {
    if (!this.shadowRoot) this._build();
    this._restart();
  }

  disconnectedCallback() {
    this._following?.abort(); // reading ends, the answer goes on
  }

  attributeChangedCallback(name, before, after) {
    if (!this.isConnected || before === after || !this.shadowRoot) return;
    if (name === "heading" || name === "placeholder") this._paintFrame();
    else if (name !== "conversation" || (after ?? "") !== this._shown) {
      if (name === "conversation" || name === "url") this._visit++;
      this._restart();
    }
  }

  /** Ask in this conversation; while an answer is written, nothing. @param {string} text */
  async send(text) {
    if (!text.trim() || this._sending || this._running) return false;
    this._sending = true;
    this._error = "";
    this._paint();
    const [visit, model] = [this._visit, this.getAttribute("model") ?? undefined];
    // The same text again after a failure is the same message: the first try may have arrived.
    const key = JSON.stringify([this._shown, model, text]);
    if (this._unsent?.key !== key) this._unsent = { key, id: newId() };
    try {
      const ask = { conversationId: this._shown || undefined, clientMessageId: this._unsent.id, model };
      const run = await this._client.start(text, ask);
      this._unsent = undefined;
      this._asked = run.id;
      if (visit !== this._visit) this._refresh(); // something else is shown by now, and stays
      else if (this._shown) this._tellEnd(this._messages.get(run.id));
      else this._show(run.conversationId ?? "", true);
      return true;
    } catch (error) {
      this._error = error.message;
      return false;
    } finally {
      this._sending = false;
      this._paint();
    }
  }

  /** Stop the answer that is written. */
  async stop() {
    const running = this._running;
    if (running) await this._client.stop(running.id).catch((error) => this._fail(error));
  }

  /** Show another conversation, `""`: a new one. @param {string} id */
  open(id) {
    this._visit++;
    this._show(id);
    this._restart();
    this._input.focus();
  }

  get _running() {
    return this._path().find((message) => message.role === "assistant" && !ENDINGS.includes(message.status));
  }

  _build() {
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    this._list = h("ul");
    this._nav = h("nav", { part: "history", "aria-label": this.strings.conversations }, h("button", { type: "button", onclick: () => this.open("") }, this.strings.newChat), this._list);
    this._title = h("h2", { part: "heading" });
    this._log = h("div", { role: "log", part: "messages", "aria-live": "off", tabindex: 0, "aria-label": this.strings.conversations });
    this._log.addEventListener("scroll", () => {
      this._held = this._log.scrollHeight - this._log.scrollTop - this._log.clientHeight > 40;
    });
    this._status = h("div", { class: "status", role: "status", part: "status" });
    this._input = h("textarea", { rows: 1, part: "input", "aria-label": this.strings.message });
    this._input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this._submit();
      } else if (event.key === "Escape") this.stop();
    });
    this._send = h("button", { class: "primary", part: "send" }, this.strings.send);
    this._stop = h("button", { type: "button", part: "stop", hidden: true, onclick: () => this.stop() }, this.strings.stop);
    const form = h("form", { part: "composer" }, this._input, this._send, this._stop);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this._submit();
    });
    root.append(this._nav, h("section", {}, this._title, this._log, this._status, form));
  }

  async _submit() {
    const text = this._input.value;
    const sent = await this.send(text);
    const now = this._input.value; // what is typed meanwhile is kept
    if (now.startsWith(text)) this._input.value = sent ? now.slice(text.length).trimStart() : now;
    else if (!sent) this._input.value = `${text}\n\n${now}`;
  }

  /** Have this conversation in the attribute. @param {string} id */
  _show(id, restart = false) {
    this._shown = id;
    if (id) this.setAttribute("conversation", id);
    else this.removeAttribute("conversation");
    this.dispatchEvent(new CustomEvent("conversation", { detail: id }));
    if (restart) this._restart();
  }

  _restart() {
    this._following?.abort();
    const token = this.getAttribute("token");
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const server = { url: this.getAttribute("url") ?? "", headers };
    this._client = new Streamchat({ ...server, patience: PATIENCE_MS });
    this._reader = new Streamchat({ ...server, patience: Number.POSITIVE_INFINITY });
    this._shown = this.getAttribute("conversation") ?? "";
    this._messages = new Map();
    this._leaf = undefined;
    this._error = "";
    this._log.replaceChildren();
    this._paintFrame();
    this._refresh();
    if (this._shown) this._follow(this._shown);
  }

  async _follow(id) {
    const following = (this._following = new AbortController());
    try {
      for await (const event of this._reader.followConversation(id, { signal: following.signal })) {
        if (following.signal.aborted) return;
        this._take(event);
      }
    } catch (error) {
      if (!following.signal.aborted) this._fail(error);
    }
  }

  _take(event) {
    if (event.type === "deleted") this.open("");
    else if (event.type === "message") this._add(event);
    else this._change(event);
    this._paint();
  }

  _add(event) {
    const { role, parent_id: parent, model } = event;
    const id = event.run_id ?? event.message.id;
    const status = role === "user" ? "finished" : "streaming";
    if (!this._messages.has(id)) this._messages.set(id, { id, role, parent, model, status, parts: event.message?.parts ?? [] });
    this._leaf = id;
    if (role === "user") this._held = false;
  }

  _change(event) {
    const message = this._messages.get(event.run_id) ?? { id: event.run_id, role: "assistant", parts: [] };
    this._messages.set(event.run_id, message);
    message.changed = true;
    if (event.type === "snapshot") {
      const { parts, status, error } = event.message;
      Object.assign(message, { parts, status, error });
    }
    message.live ||= !ENDINGS.includes(message.status); // seen while it was written
    if (ENDINGS.includes(event.type)) {
      this._end(message, event);
    } else if (event.type !== "snapshot") {
      message.status = event.type === "waiting" ? "waiting" : "streaming";
      fold(message.parts, event);
    }
  }

  _end(message, { type: status, message: error }) {
    const failed = status === "failed" || status === "interrupted";
    Object.assign(message, { status, error: failed ? (error ?? this.strings[status]) : undefined });
    for (const part of message.parts) if (part.state === "awaiting-approval" || part.state === "running") part.state = "stopped";
    this._tellEnd(message);
  }

  /** Tell the page that an answer has ended, once; not of one that had ended before it was read. */
  _tellEnd(message) {
    if (!ENDINGS.includes(message?.status)) return;
    const { id, status } = message;
    const asked = id === this._asked; // by this element, so it is news, even if it comes whole
    if (asked) this._asked = undefined;
    if (message.told || !(message.live || asked)) return;
    message.told = true;
    this.dispatchEvent(new CustomEvent("ended", { detail: { id, status } }));
    this._refresh();
  }

  _fail(error) {
    this._error = error.message;
    this._paint();
  }

  /** The branch that ends in the newest message. */
  _path() {
    const path = [];
    for (let id = this._leaf; id !== undefined; ) {
      const message = this._messages.get(id);
      if (!message) break;
      path.unshift(message);
      id = message.parent ?? undefined;
    }
    return path;
  }

  _paint() {
    if (this._painting) return;
    this._painting = true;
    // A hidden page has no animation frames, and still has to be right when it is read.
    (document.hidden ? setTimeout : requestAnimationFrame)(() => {
      this._painting = false;
      this._paintNow();
    });
  }

  /** What is announced while nothing is wrong. */
  _progress(last) {
    if (this._running) return this._running.status === "waiting" ? this.strings.waiting : this.strings.generating;
    if (this._sending) return this.strings.sending;
    if (last?.status === "stopped") return this.strings.stopped;
    return last?.status === "finished" && last.role === "assistant" ? this.strings.ended : "";
  }

  _paintNow() {
    const path = this._path();
    const shown = path.map((message) => this._article(message));
    for (const node of [...this._log.children]) if (!shown.includes(node)) node.remove();
    for (const [place, node] of shown.entries()) {
      if (this._log.children[place] !== node) this._log.insertBefore(node, this._log.children[place] ?? null);
    }
    if (!this._held) this._log.scrollTop = this._log.scrollHeight;
    const running = this._running;
    const last = path[path.length - 1];
    this._log.setAttribute("aria-busy", String(Boolean(running)));
    const failed = this._error || (!this._sending && (last?.error?.message || last?.error));
    const text = failed || this._progress(last);
    if (this._status.textContent !== text) this._status.textContent = text;
    this._status.classList.toggle("error", Boolean(failed));
    const focused = this.shadowRoot?.activeElement;
    this._send.hidden = Boolean(running);
    this._stop.hidden = !running;
    this._send.disabled = this._sending;
    if (focused === this._stop && this._stop.hidden) this._input.focus();
  }

  _paintFrame() {
    this._nav.hidden = !this.hasAttribute("history");
    this._title.textContent = this.getAttribute("heading") ?? "";
    this._title.hidden = !this._title.textContent;
    this._input.placeholder = this.getAttribute("placeholder") ?? this.strings.message;
    this._paint();
  }

  _article(message) {
    if (!message.node) {
      const label = message.role === "user" ? this.strings.question : this.strings.answer;
      message.node = h("article", { "data-role": message.role, part: message.role, "aria-label": label });
      message.painted = [];
      message.changed = true;
    }
    if (message.changed) {
      message.changed = false;
      message.node.dataset.status = message.status;
      for (const [place, part] of message.parts.entries()) this._part(message, part, place);
      for (const node of message.painted.splice(message.parts.length)) node.node.remove();
    }
    return message.node;
  }

  /** Paint one part, if it is another one than the last time. */
  _part(message, part, place) {
    const key = JSON.stringify(part);
    const old = message.painted[place];
    if (old?.key === key) return;
    const node = this._partNode(message, part);
    if (old?.node instanceof HTMLDetailsElement && node instanceof HTMLDetailsElement) node.open = node.open || old.node.open;
    if (old) old.node.replaceWith(node);
    else message.node.append(node);
    message.painted[place] = { key, node };
  }

  _partNode(message, part) {
    if (part.type === "text") return message.role === "user" ? h("div", {}, part.text) : h("div", { part: "text" }, ...markdown(part.text));
    if (part.type === "reasoning") return h("details", { part: "reasoning" }, h("summary", {}, this.strings.thinking), h("div", {}, part.text));
    if (part.type === "source") return h("p", {}, link(part.url ?? "", part.title || part.url || ""));
    if (part.type === "notice") return h("p", { class: "status" }, part.text ?? "");
    if (part.type !== "tool_call") return h("p", {}, part.name ?? part.type);
    const waits = part.state === "awaiting-approval";
    const panel = h("details", { part: "tool", "data-state": part.state, open: waits }, h("summary", {}, `${part.name} · ${part.state}`));
    const shown = [part.arguments, part.progress, part.error ?? part.result].filter((value) => value !== undefined && value !== null);
    panel.append(...shown.map((value) => h("pre", { tabindex: 0 }, typeof value === "string" ? value : JSON.stringify(value, null, 1))));
    if (waits) {
      const decide = (approve) => () => this._client.decide(message.id, { call_id: part.id, approve }).catch((error) => this._fail(error));
      panel.append(h("button", { type: "button", class: "primary", onclick: decide(true) }, this.strings.approve), " ");
      panel.append(h("button", { type: "button", onclick: decide(false) }, this.strings.deny));
    }
    return panel;
  }

  async _refresh() {
    if (!this.hasAttribute("history")) return;
    try {
      const reader = this._reader;
      const { conversations } = await reader.conversations();
      if (reader !== this._reader) return; // the list of another server or person
      const row = ({ id, title }) => h("li", {}, h("button", { type: "button", "aria-current": id === this._shown && "true", onclick: () => this.open(id) }, title));
      this._list.replaceChildren(...conversations.map(row));
    } catch (error) {
      this._fail(error);
    }
  }
}

if (!customElements.get("stream-chat")) customElements.define("stream-chat", StreamChat);
