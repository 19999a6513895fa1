// Tells when an answer is ready, or waits for approval, while the page is not looked at: a mark in its title, and a
// notification of the browser if the person switched it on.

import { Bell, BellOff } from "lucide-react";
import { useEffect, useState } from "react";
import { useChat } from "../chat";
import { appName } from "../common/page-settings";
import { storage } from "../common/storage";
import { strings, useStrings } from "../common/strings";
import type { Signal } from "../store/transcript-store";

const MARK = "● ";
const needsYou = () => `${strings().shell.needsYou} · `;

export function NotifyToggle() {
  const t = useStrings().shell;
  // Not known before the page is ready: it was rendered elsewhere.
  const [offered, setOffered] = useState(false);
  const [on, setOn] = useState(false);
  useEffect(() => {
    setOffered(typeof Notification !== "undefined");
    setOn(isAllowed() && storage.get("notify") === true);
  }, []);
  useNotifications(on);
  if (!offered) return null;
  const toggle = async () => {
    const allowed = !on && (isAllowed() || (await Notification.requestPermission()) === "granted");
    storage.set("notify", allowed);
    setOn(allowed);
  };
  const label = on ? t.doNotNotify : t.notify;
  return (
    <button
      type="button"
      className="icon"
      data-testid="notify"
      aria-label={label}
      title={label}
      aria-pressed={on}
      onClick={() => void toggle()}
    >
      {on ? <Bell size={18} /> : <BellOff size={18} />}
    </button>
  );
}

function isAllowed(): boolean {
  return typeof Notification !== "undefined" && Notification.permission === "granted";
}

function useNotifications(on: boolean): void {
  const { store } = useChat();
  useEffect(() => {
    const seen = () => {
      if (!document.hidden) document.title = unmarked(document.title);
    };
    document.addEventListener("visibilitychange", seen);
    const stop = store.onFrame((frame) => {
      const text = news(frame);
      if (!text || !document.hidden) return;
      const { title } = store.meta();
      document.title = (frame.k === "end" ? MARK : needsYou()) + unmarked(document.title);
      if (on && isAllowed()) notify(title || appName(), text);
    });
    return () => {
      document.removeEventListener("visibilitychange", seen);
      stop();
    };
  }, [store, on]);
}

function unmarked(title: string): string {
  const mark = [MARK, needsYou()].find((mark) => title.startsWith(mark)) ?? "";
  return title.slice(mark.length);
}

function news(frame: Signal): string | null {
  if (frame.k === "end") return frame.status === "stopped" ? null : strings().shell.answerReady;
  return "status" in frame && frame.status === "waiting" ? strings().shell.toolWaits : null;
}

function notify(title: string, body: string): void {
  try {
    const shown = new Notification(title, { body, tag: "streamchat" });
    shown.onclick = () => window.focus();
  } catch {
    // Phones allow them for service workers only.
  }
}
