// A modal dialog: the browser's own, which keeps the focus and closes with Escape.

import "./menu.css";

import { type ReactNode, useEffect, useId, useRef } from "react";

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
}

export function Dialog({ title, onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    if (!dialog.current?.open) dialog.current?.showModal();
  }, []);
  return (
    <dialog className="dialog" ref={dialog} aria-labelledby={id} onClose={onClose} onKeyDown={keepEscape}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

// Escape closes the dialog, and does not also stop the answer.
function keepEscape(event: { key: string; stopPropagation: () => void; nativeEvent: Event }): void {
  if (event.key === "Escape") event.nativeEvent.stopPropagation();
}
