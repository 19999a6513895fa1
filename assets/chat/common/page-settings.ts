// What the operator's settings make of the page: `/look/look.js`, which is loaded before the page, sets it.

import { useSyncExternalStore } from "react";

export interface PageSettings {
  /** What the page calls itself. */
  name?: string;
  /** The page's language unless the person chose another one. */
  language?: string;
  /** The prompts of the empty page. */
  suggestions?: Suggestion[];
}

export interface Suggestion {
  label: string;
  text: string;
  /** The model that answers it; shown only if that model can be used. */
  model?: string;
}

declare global {
  interface Window {
    streamchat?: PageSettings;
  }
}

const OWN_NAME = "streamchat";
const NONE: PageSettings = {};

const never = () => () => {};
const settings = () => globalThis.window?.streamchat ?? NONE;

export function appName(): string {
  return settings().name || OWN_NAME;
}

/** For components: the page is built without settings, and its first render has to agree with that. */
export function usePageSettings(): PageSettings {
  return useSyncExternalStore(never, settings, () => NONE);
}

export function useAppName(): string {
  return usePageSettings().name || OWN_NAME;
}
