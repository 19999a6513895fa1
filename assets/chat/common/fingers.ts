// Whether the page is used with fingers only.

import { useSyncExternalStore } from "react";

const QUERY = "(pointer: coarse)";

/** Such a device has its keyboard on the screen: it covers half of the page, and has no Shift+Enter. */
export function hasFingersOnly(): boolean {
  return matchMedia(QUERY).matches;
}

export function useFingersOnly(): boolean {
  return useSyncExternalStore(subscribe, hasFingersOnly, () => false);
}

function subscribe(listener: () => void): () => void {
  const query = matchMedia(QUERY);
  query.addEventListener("change", listener);
  return () => query.removeEventListener("change", listener);
}
