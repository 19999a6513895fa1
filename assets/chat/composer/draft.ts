// The draft of each conversation: in the textarea while it is written, in the browser's storage for the next visit.

import type { RefObject } from "react";
import { storage } from "../common/storage";
import { type Outbox, remainder } from "./outbox";

const SAVE_AFTER_MS = 300;

interface StoredDraft {
  text?: string;
  id?: string | null;
}

interface Options {
  area: RefObject<HTMLTextAreaElement | null>;
  form: RefObject<HTMLFormElement | null>;
  outbox: Outbox;
  /** Called with every key. */
  onTyped: () => void;
  /** Called when a conversation is left while a message is on its way. */
  onLeft: () => void;
  /** Whether drafts are stored: not those of a chat that is never stored. */
  stores: () => boolean;
}

export class Draft {
  private place: string | null = null;
  private loaded = false;
  // Whether it was changed here since it was stored: what another tab stored is not overwritten by what is older.
  private changed = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private sizesItself: boolean | undefined;
  // Messages that were on their way when their conversation was left: client id -> its address.
  private readonly left = new Map<string, string>();

  constructor(private readonly options: Options) {}

  /**
   * The page shows this address now. `begun`: it is that of the conversation that was begun in this visit of the empty
   * page, and text typed meanwhile moves along.
   */
  at(place: string, begun = false): void {
    if (place === this.place) return;
    const moving = this.place === "/" && begun;
    const typed = this.area.value;
    if (this.place !== null && !moving) this.leave();
    if (moving) storage.set(keyOf("/"), null);
    this.place = place;
    // What moves along is the same message, also if it is on its way.
    if (moving) return this.save();
    const { text = "", id = null } = storage.get<StoredDraft>(keyOf(place)) ?? {};
    // Text that was typed before the page was ready stays.
    this.show(text || (this.loaded ? "" : typed));
    this.loaded = true;
    this.options.outbox.restore(text, id);
  }

  typed = (): void => {
    this.options.onTyped();
    this.grow();
    this.changed = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), SAVE_AFTER_MS);
  };

  /** Stores what was written here and is not stored yet. */
  saveChanges = (): void => {
    if (this.changed) this.save();
  };

  save(): void {
    clearTimeout(this.timer);
    this.changed = false;
    const text = this.options.area.current?.value;
    if (text === undefined || this.place === null) return;
    const { pending } = this.options.outbox;
    const id = pending?.text === text ? pending.id : null;
    storage.set(keyOf(this.place), text && this.options.stores() ? { text, id } : null);
  }

  /** This text was accepted. */
  sent(text: string): void {
    this.show(remainder(this.area.value, text));
    this.save();
  }

  /** Another tab of this browser changed a draft: one that was shown here as it was before follows it. */
  storedElsewhere = ({ key, oldValue, newValue }: StorageEvent): void => {
    if (this.place === null || key !== storage.keyOf(keyOf(this.place))) return;
    const before = textOf(oldValue);
    // What differs here is being written here.
    if (!before || this.area.value !== before || this.options.outbox.pending) return;
    clearTimeout(this.timer);
    this.show(textOf(newValue));
    this.options.outbox.restore(textOf(newValue), idOf(newValue));
  };

  /** The text is elsewhere now. */
  clear(): void {
    this.show("");
    this.save();
  }

  /** Puts a text before what is there. */
  put(text: string): void {
    const { value } = this.area;
    this.show(value.trim() ? `${text}\n${value}` : text);
    this.save();
  }

  /** A message was accepted that may have been sent from another conversation. */
  sentElsewhere(id: string): void {
    const place = this.left.get(id);
    if (place && place !== this.place && storage.get<StoredDraft>(keyOf(place))?.id === id) {
      storage.set(keyOf(place), null);
    }
    this.left.delete(id);
  }

  private get area(): HTMLTextAreaElement {
    return this.options.area.current as HTMLTextAreaElement;
  }

  // What is on its way belongs to the conversation that is left: it is never sent again from another one.
  private leave(): void {
    this.saveChanges();
    const { outbox, onLeft } = this.options;
    if (!outbox.pending || this.place === null) return;
    this.left.set(outbox.pending.id, this.place);
    outbox.refused(outbox.pending.id);
    onLeft();
  }

  private show(text: string): void {
    this.area.value = text;
    this.grow();
  }

  private grow(): void {
    const { area } = this;
    const { dataset } = this.options.form.current as HTMLFormElement;
    const empty = String(!area.value.trim());
    if (dataset.empty !== empty) dataset.empty = empty;
    this.sizesItself ??= CSS.supports("field-sizing", "content");
    if (this.sizesItself) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }
}

function parsed(value: string | null): StoredDraft {
  return (JSON.parse(value ?? "null") as StoredDraft | null) ?? {};
}

function textOf(value: string | null): string {
  return parsed(value).text ?? "";
}

function idOf(value: string | null): string | null {
  return parsed(value).id ?? null;
}

function keyOf(place: string): string {
  return `draft.${place}`;
}
