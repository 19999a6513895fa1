// What the operator's settings say of the look of the page: `/look.js`, which is loaded before the page, sets it.

import { useSyncExternalStore } from "react";

export interface PageSettings {
  /** What the page calls itself. */
  name?: string;
  /** The page's language unless the person chose another one. */
  language?: string;
}

declare global {
  interface Window {
    streamchat?: PageSettings;
  }
}

const OWN_NAME = "streamchat";

export function appName(): string {
  return globalThis.window?.streamchat?.name || OWN_NAME;
}

const never = () => () => {};

/** The same for components: the built page has our own name, and the first render has to agree with it. */
export function useAppName(): string {
  return useSyncExternalStore(never, appName, () => OWN_NAME);
}
