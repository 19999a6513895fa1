// What this browser remembers: drafts, the last model, which panels are open.
//
// Storage may be full or forbidden: then a value lasts as long as the page at most.

const PREFIX = "streamchat.";
const MAX_PANELS = 300;

export const storage = {
  /** The key under which the browser has a value. */
  keyOf: (name: string): string => PREFIX + name,

  /** The stored value, or `null`. */
  get<Value>(name: string): Value | null {
    try {
      return JSON.parse(localStorage.getItem(PREFIX + name) ?? "null") as Value | null;
    } catch {
      return null;
    }
  },

  /** Stores a JSON value; `null` removes it. */
  set(name: string, value: unknown): void {
    try {
      if (value === null) localStorage.removeItem(PREFIX + name);
      else localStorage.setItem(PREFIX + name, JSON.stringify(value));
    } catch {
      // The page works without.
    }
  },
};

/** What this tab remembers over a reload. */
export const visit = {
  /** The stored value, or `null`. */
  get<Value>(name: string): Value | null {
    try {
      return JSON.parse(sessionStorage.getItem(PREFIX + name) ?? "null") as Value | null;
    } catch {
      return null;
    }
  },

  /** Stores a JSON value; `null` removes it. */
  set(name: string, value: unknown): void {
    try {
      if (value === null) sessionStorage.removeItem(PREFIX + name);
      else sessionStorage.setItem(PREFIX + name, JSON.stringify(value));
    } catch {
      // The page works without.
    }
  },
};

let panels: Map<string, boolean> | undefined;

/** Which panels the reader opened or closed; those touched last are kept. */
export const panelStorage = {
  /** `undefined` for a panel that was never touched. */
  get(key: string): boolean | undefined {
    panels ??= new Map(storage.get<[string, boolean][]>("panels"));
    return panels.get(key);
  },

  set(key: string, open: boolean): void {
    panels ??= new Map(storage.get<[string, boolean][]>("panels"));
    panels.delete(key);
    panels.set(key, open);
    for (const oldest of panels.keys()) {
      if (panels.size <= MAX_PANELS) break;
      panels.delete(oldest);
    }
    storage.set("panels", [...panels]);
  },
};
