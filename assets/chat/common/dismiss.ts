// Closes what is open over the page: by a press or focus elsewhere, and by Escape, which then does nothing else.

import { type RefObject, useEffect } from "react";

export function useDismiss(
  open: boolean,
  frame: RefObject<HTMLElement | null>,
  button: RefObject<HTMLElement | null>,
  close: () => void,
): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: `close` does the same in every render
  useEffect(() => {
    if (!open) return;
    const moved = (event: Event) => {
      if (frame.current?.contains(event.target as Node)) return;
      // A press moves the focus only after this. React tells no field that it was left once it is gone.
      const { activeElement } = document;
      if (activeElement instanceof HTMLElement && frame.current?.contains(activeElement)) activeElement.blur();
      close();
    };
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      if (frame.current?.contains(document.activeElement)) button.current?.focus({ preventScroll: true });
      close();
    };
    document.addEventListener("pointerdown", moved);
    document.addEventListener("focusin", moved);
    document.addEventListener("keydown", pressed, { capture: true });
    return () => {
      document.removeEventListener("pointerdown", moved);
      document.removeEventListener("focusin", moved);
      document.removeEventListener("keydown", pressed, { capture: true });
    };
  }, [open, frame, button]);
}
