// The whole page, as high as the visible part of the screen.

import "../common/base.css";
import "./shell.css";

import { type ReactNode, useEffect, useRef } from "react";
import { useStrings } from "../common/strings";

const KEYBOARD_PX = 80; // if more is covered, it is by a keyboard

// A conversation has hundreds of buttons and links before its end.
function focusComposer(): void {
  document.querySelector<HTMLElement>("[data-testid=composer]")?.focus();
}

// A phone's keyboard covers the page instead of shrinking it: the page follows the visual viewport.
export function Viewport({ children }: { children?: ReactNode }) {
  const t = useStrings().shell;
  const app = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const view = window.visualViewport;
    if (!view) return;
    const fit = () => {
      const covered = window.innerHeight - view.height * view.scale > KEYBOARD_PX;
      app.current?.style.setProperty("--height", covered ? `${Math.round(view.height)}px` : "100dvh");
      if (covered && view.scale === 1) window.scrollTo(0, 0);
    };
    view.addEventListener("resize", fit);
    return () => view.removeEventListener("resize", fit);
  }, []);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const field = event.target instanceof Element && event.target.closest("input, select, textarea, dialog");
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || field)
        return;
      event.preventDefault();
      focusComposer();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
  return (
    <div className="app" ref={app}>
      <button type="button" className="button skip" onClick={focusComposer}>
        {t.writeMessage}
      </button>
      {children}
    </div>
  );
}
