// A modal dialog: the browser's own, which keeps the focus, gives it back and closes with Escape.

import "./menu.css";

import { type ReactNode, useId, useLayoutEffect, useRef } from "react";

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
}

export function Dialog({ title, onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    // Only closing it gives the focus back to what had it.
    return () => element?.close();
  }, []);
  return (
    <dialog
      className="dialog"
      ref={dialog}
      aria-labelledby={id}
      onClose={() => dialog.current?.open || onClose()}
      onKeyDown={keepEscape}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

// Escape closes the dialog, and does not also stop the answer.
function keepEscape(event: { key: string; stopPropagation: () => void; nativeEvent: Event }): void {
  if (event.key === "Escape") event.nativeEvent.stopPropagation();
}
