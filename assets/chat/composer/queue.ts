// Messages that were written while an answer was under way, and follow it.
//
// Pure but for the browser's storage. Rules:
//
// * Each has a client id of its own: two tabs that send the same one send one message.
// * They belong to a conversation, survive a reload, and are the same in all tabs of a browser.
// * What does not fit into the storage, or may not, stays as long as the page.

import { storage } from "../common/storage";
import { isFile, type UploadedFile } from "./attachments";
import { MAX_CHARACTERS } from "./outbox";

export interface Queued {
  id: string;
  text: string;
  model: string;
  files?: UploadedFile[];
  /** Those that answer side by side. */
  models?: string[];
}

const MAX_QUEUED = 20;

export class Queue {
  private place: string | null = null;
  private items: Queued[] = [];
  // Of each conversation, what could not be stored.
  private readonly unstored = new Map<string, Queued[]>();
  private readonly listeners = new Set<() => void>();

  /** The page shows this conversation now; `null` if it shows none. */
  at(place: string | null): void {
    this.place = place;
    this.read();
  }

  list = (): Queued[] => this.items;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Reads what another tab changed. */
  read = (): void => {
    const stored = this.stored();
    this.show([...stored, ...without(stored, this.unstored.get(this.place ?? "") ?? [])]);
  };

  /** Returns whether it is a message, and there was room for it. */
  add(item: Queued): boolean {
    if ((!item.text.trim() && !item.files?.length) || item.text.length > MAX_CHARACTERS) return false;
    this.read();
    if (this.place === null || this.items.length >= MAX_QUEUED) return false;
    this.store([...this.items, item]);
    return true;
  }

  remove(id: string): void {
    this.read();
    if (this.items.some((item) => item.id === id)) this.store(this.items.filter((item) => item.id !== id));
  }

  private store(items: Queued[]): void {
    if (this.place !== null) {
      storage.set(keyOf(this.place), items.length ? items : null);
      this.unstored.set(this.place, without(this.stored(), items));
    }
    this.show(items);
  }

  private stored(): Queued[] {
    const stored = this.place === null ? null : storage.get<unknown>(keyOf(this.place));
    return Array.isArray(stored) ? stored.filter(isQueued) : [];
  }

  private show(items: Queued[]): void {
    if (JSON.stringify(items) === JSON.stringify(this.items)) return;
    this.items = items;
    for (const listener of this.listeners) listener();
  }
}

// The items that are not among the others.
function without(others: Queued[], items: Queued[]): Queued[] {
  return items.filter(({ id }) => !others.some((other) => other.id === id));
}

function isQueued(item: unknown): item is Queued {
  const { id, text, model, files = [], models = [] } = (item ?? {}) as Partial<Record<keyof Queued, unknown>>;
  const isText = [id, text, model].every((value) => typeof value === "string");
  return isText && areFiles(files) && Array.isArray(models) && models.every((name) => typeof name === "string");
}

function areFiles(files: unknown): boolean {
  return Array.isArray(files) && files.every(isFile);
}

function keyOf(place: string): string {
  return `queue.${place}`;
}
