// Gives the focus back when what had it has gone, unless the person has moved it elsewhere.

import { useEffect, useRef } from "react";

/** `open`: whether what takes the focus is there; `before`: what had it. */
export function useFocusBack(open: boolean, before: () => HTMLElement | null | undefined): void {
  const wasOpen = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `before` is looked for when it closes
  useEffect(() => {
    if (wasOpen.current && !open) focusIfLost(before());
    wasOpen.current = open;
  }, [open]);
}

/** Focuses it if nothing has the focus. */
export function focusIfLost(element: HTMLElement | null | undefined): void {
  if (document.activeElement === document.body) element?.focus({ preventScroll: true });
}
