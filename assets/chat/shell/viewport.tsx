// The whole page, as high as the visible part of the screen.

import "../common/base.css";
import "./shell.css";

import { type ReactNode, Suspense, useEffect, useRef } from "react";
import { useNavigate } from "react-router";
import { type Chat, useChat } from "../chat";
import { lazyPart } from "../common/lazy-part";
import { useShared } from "../common/shared-value";
import { strings, useShown, useStrings } from "../common/strings";
import { Preview } from "../preview/preview";

// Loaded when one of them is opened.
const Overlays = lazyPart(() => import("./overlays"));

const KEYBOARD_PX = 80; // if more is covered, it is by a keyboard

// A conversation has hundreds of buttons and links before its end.
function focusComposer(): void {
  document.querySelector<HTMLElement>("[data-testid=composer]")?.focus();
}

// Keys that work wherever the focus is; a key without a modifier is a letter in a field.
function useShortcuts(chat: Chat): void {
  const navigate = useNavigate();
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing || event.altKey) return;
      const run = shortcut(event, chat, navigate);
      if (!run) return;
      event.preventDefault();
      run();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [chat, navigate]);
}

function shortcut(event: KeyboardEvent, { overlay }: Chat, navigate: (to: string) => unknown): (() => void) | null {
  const key = event.key.toLowerCase();
  const dialog = document.querySelector("dialog[open]");
  if (event.ctrlKey || event.metaKey) {
    if (key === "k" && !event.shiftKey) return () => overlay.set(overlay.get() === "palette" ? null : "palette");
    if (key === "o" && event.shiftKey && !dialog) return () => void navigate("/");
    return null;
  }
  const field = event.target instanceof Element && event.target.closest("input, select, textarea, [contenteditable]");
  if (field || dialog) return null;
  if (key === "/") return focusComposer;
  if (key === "?") return () => overlay.set("shortcuts");
  return null;
}

// A phone's keyboard covers the page instead of shrinking it: the page follows the visual viewport.
export function Viewport({ children }: { children?: ReactNode }) {
  const t = useStrings().shell;
  const chat = useChat();
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
  const open = useShared(chat.overlay) !== null;
  const notOpened = () => {
    chat.overlay.set(null);
    chat.store.feed({ k: "say", text: strings().common.notLoaded, n: Date.now() });
  };
  useShortcuts(chat);
  useShown();
  return (
    <div className="app" ref={app}>
      <button type="button" className="button skip" onClick={focusComposer}>
        {t.writeMessage}
      </button>
      {children}
      {open && (
        <Suspense fallback={null}>
          <Overlays onFailed={notOpened} />
        </Suspense>
      )}
      <Preview />
    </div>
  );
}
