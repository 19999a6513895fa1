// The files of the message that is being written: uploaded at once, named when it is sent.
//
// Knows no React. Rules:
//
// * Files belong to the draft of one conversation, and survive a reload once they are uploaded, but for those of a
//   temporary chat.
// * Nothing is sent while one of them is on its way, or was refused.

import { storage } from "../common/storage";
import { strings } from "../common/strings";
import { isTemporary } from "../common/temporary-ids";

/** A file that is uploaded, as the server describes it. */
export interface UploadedFile {
  id: string;
  name: string;
  media_type: string;
}

export interface Attachment {
  key: string;
  name: string;
  state: "uploading" | "ready" | "error";
  /** 0 to 1, while it is uploaded. */
  progress: number;
  /** Why it was refused. */
  error?: string;
  /** Once it is uploaded. */
  file?: UploadedFile;
  isPicture: boolean;
}

export interface Upload {
  done: Promise<UploadedFile>;
  cancel: () => void;
}

interface Options {
  newId: () => string;
  /** Begins an upload. `done` is rejected with an `Error` for people. */
  upload: (file: File, temporary: boolean, onProgress: (progress: number) => void) => Upload;
  /** Whether the chat that is shown is never stored. */
  isTemporary: () => boolean;
  /** Deletes an uploaded file. */
  discard: (id: string) => void;
}

export const MAX_FILES = 20;
const AT_ONCE = 3;

export class Attachments {
  private place: string | null = null;
  private readonly drafts = new Map<string, Attachment[]>();
  private readonly listeners = new Set<() => void>();
  private readonly waiting: (() => Promise<void>)[] = [];
  private readonly uploads = new Map<string, Upload>();
  private active = 0;

  constructor(private readonly options: Options) {}

  /** The page shows this address now. */
  at(place: string): void {
    this.place = place;
    if (!this.drafts.has(place)) {
      const stored = storage.get<unknown>(keyOf(place));
      const files = Array.isArray(stored) ? stored.filter(isFile).slice(0, MAX_FILES) : [];
      this.drafts.set(place, files.map(this.ready));
    }
    this.notify();
  }

  list = (): Attachment[] => (this.place === null ? NONE : (this.drafts.get(this.place) ?? NONE));

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** What keeps the message from being sent. */
  get blocked(): "uploading" | "error" | null {
    const states = this.list().map((item) => item.state);
    if (states.includes("error")) return "error";
    return states.includes("uploading") ? "uploading" : null;
  }

  get files(): UploadedFile[] {
    return this.list().flatMap(({ file }) => file ?? []);
  }

  /** What goes with a message. */
  get extra(): { files?: string[] } {
    const ids = this.files.map(({ id }) => id);
    return ids.length ? { files: ids } : {};
  }

  /** Begins to upload. Returns how many there was no room for. */
  add(files: File[]): number {
    const { place } = this;
    if (place === null) return 0;
    const taken = files.slice(0, MAX_FILES - this.list().length);
    const items = taken.map((file) => this.begin(place, file));
    this.put(place, [...this.list(), ...items]);
    this.next();
    return files.length - taken.length;
  }

  /** Brings back files of a message that was not sent. */
  restore(files: UploadedFile[]): void {
    if (this.place !== null) this.put(this.place, [...this.list(), ...files.map(this.ready)].slice(0, MAX_FILES));
  }

  remove(key: string): void {
    const item = this.list().find((one) => one.key === key);
    if (!item || this.place === null) return;
    this.uploads.get(key)?.cancel();
    if (item.file) this.options.discard(item.file.id);
    this.put(
      this.place,
      this.list().filter((one) => one.key !== key),
    );
  }

  /** The message with these files is elsewhere now. */
  sent(ids: string[]): void {
    for (const [place, items] of this.drafts) {
      const left = items.filter(({ file }) => !file || !ids.includes(file.id));
      if (left.length < items.length) this.put(place, left);
    }
  }

  private begin(place: string, file: File): Attachment {
    const item: Attachment = {
      key: this.options.newId(),
      name: file.name || "file",
      state: "uploading",
      progress: 0,
      isPicture: file.type.startsWith("image/"),
    };
    // Another chat may be shown when its turn comes.
    const temporary = this.options.isTemporary();
    this.waiting.push(() => this.upload(place, item.key, file, temporary));
    return item;
  }

  private next(): void {
    while (this.active < AT_ONCE && this.waiting.length) {
      this.active += 1;
      void this.waiting
        .shift()?.()
        .finally(() => {
          this.active -= 1;
          this.next();
        });
    }
  }

  private async upload(place: string, key: string, file: File, temporary: boolean): Promise<void> {
    const change = (changes: Partial<Attachment>) => {
      const items = this.drafts.get(place) ?? NONE;
      this.put(
        place,
        items.map((item) => (item.key === key ? { ...item, ...changes } : item)),
      );
    };
    const isThere = () => this.drafts.get(place)?.some((item) => item.key === key);
    if (!isThere()) return; // removed before its turn
    try {
      const upload = this.options.upload(file, temporary, (progress) => change({ progress }));
      this.uploads.set(key, upload);
      const uploaded = await upload.done;
      if (!isThere()) return this.options.discard(uploaded.id);
      const isPicture = uploaded.media_type.startsWith("image/");
      change({ state: "ready", progress: 1, name: uploaded.name, file: uploaded, isPicture });
    } catch (error) {
      change({ state: "error", error: error instanceof Error ? error.message : strings().composer.uploadFailed });
    } finally {
      this.uploads.delete(key);
    }
  }

  private ready = (file: UploadedFile): Attachment => ({
    key: file.id,
    name: file.name,
    state: "ready",
    progress: 1,
    file,
    isPicture: file.media_type.startsWith("image/"),
  });

  private put(place: string, items: Attachment[]): void {
    this.drafts.set(place, items);
    const files = items
      .flatMap(({ file }) => file ?? [])
      .filter(({ id }) => !isTemporary(id))
      .map(({ id, name, media_type }) => ({ id, name, media_type }));
    storage.set(keyOf(place), files.length ? files : null);
    this.notify();
  }

  private notify(): void {
    for (const listener of this.listeners) listener();
  }
}

const NONE: Attachment[] = [];

export function isFile(value: unknown): value is UploadedFile {
  const { id, name, media_type } = (value ?? {}) as Partial<Record<keyof UploadedFile, unknown>>;
  return typeof id === "string" && typeof name === "string" && typeof media_type === "string";
}

function keyOf(place: string): string {
  return `files.${place}`;
}
