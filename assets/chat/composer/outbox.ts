// The message that is being written, and the one that is on its way.
//
// Pure: knows nothing of the page. Rules:
//
// * One draft keeps one client id until it is accepted: a double click, Enter twice, or sending again after the
//   connection came back is the same message to the server.
// * A draft is cleared only when the server has accepted it.

import type { Settings } from "../store/frames";

export const MAX_CHARACTERS = 200_000;

/**
 * The conversation that is shown, and the settings of a new one; whether it is never stored; uploaded files; the models
 * that answer side by side.
 */
export type Extra = {
  conversation: string | null;
  temporary?: true;
  tools_off?: string[];
  files?: string[];
  models?: string[];
} & Settings;

export type Send = (text: string, clientId: string, model: string, extra?: Extra) => void;

/** A message that was sent and is not accepted yet. */
interface Pending {
  text: string;
  id: string;
  model: string;
  extra?: Extra;
}

interface Options {
  newId: () => string;
  send: Send;
}

export class Outbox {
  pending: Pending | null = null;
  private draft: { text: string; id: string } | null = null;
  private readonly newId: () => string;
  private readonly send: Send;

  constructor({ newId, send }: Options) {
    this.newId = newId;
    this.send = send;
  }

  /** "busy": another message is on its way. */
  submit(text: string, model: string, extra?: Extra): "empty" | "long" | "busy" | "sending" {
    if (!text.trim() && !extra?.files?.length) return "empty";
    if (text.length > MAX_CHARACTERS) return "long";
    if (this.pending && this.pending.text !== text) return "busy";
    this.pending = { text, id: this.idOf(text), model, extra };
    this.deliver(this.pending);
    return "sending";
  }

  /** The client id of this draft. */
  idOf(text: string): string {
    if (this.draft?.text !== text) this.draft = { text, id: this.newId() };
    return this.draft.id;
  }

  /** A draft from an earlier visit keeps its id. */
  restore(text: string, id: string | null): void {
    this.draft = id ? { text, id } : null;
  }

  /** The server accepted a message: its text, or `null` if it is not the one on its way. */
  accepted(id: string): string | null {
    if (this.pending?.id !== id) return null;
    const { text } = this.pending;
    this.pending = null;
    this.draft = null;
    return text;
  }

  /** The server refused a message; returns whether it was the one on its way. */
  refused(id: string | undefined): boolean {
    if (!this.pending || this.pending.id !== id) return false;
    this.pending = null;
    return true;
  }

  /** The connection came back: what is not accepted yet may never have arrived. */
  resend(): void {
    if (this.pending) this.deliver(this.pending);
  }

  private deliver({ text, id, model, extra }: Pending): void {
    if (extra) this.send(text, id, model, extra);
    else this.send(text, id, model);
  }
}

/** The rest of the composer's text after `sent` was accepted while more was being typed. */
export function remainder(current: string, sent: string): string {
  if (current.trim() === sent.trim()) return "";
  return current.startsWith(sent) ? current.slice(sent.length).trimStart() : current;
}
