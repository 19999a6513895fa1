// Tells that an answer waits for approval, and when one is ready while the page is not looked at: a mark in the page's
// title, and a notification of the browser if the person switched it on.

import { Bell, BellOff } from "lucide-react";
import { useEffect, useState } from "react";
import { useChat } from "../chat";
import { appName } from "../common/page-settings";
import { storage } from "../common/storage";
import { strings, useStrings } from "../common/strings";
import type { Signal } from "../store/transcript-store";

export function NotifyToggle() {
  const t = useStrings().shell;
  // Not known before the page is ready, which was rendered elsewhere: almost every browser has them, so there is room.
  const [offered, setOffered] = useState(true);
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
  const { store, news } = useChat();
  useEffect(() => {
    const seen = () => {
      if (!document.hidden && news.get() === "ready") news.set("");
    };
    document.addEventListener("visibilitychange", seen);
    if (store.meta().waiting) news.set("waiting");
    const stop = store.onFrame((frame) => {
      const { title, waiting } = store.meta();
      const text = newsOf(frame);
      if (waiting) news.set("waiting");
      else if (frame.k === "end" && text && document.hidden) news.set("ready");
      else if (news.get() === "waiting") news.set("");
      if (text && document.hidden && on && isAllowed()) notify(title || appName(), text);
    });
    return () => {
      document.removeEventListener("visibilitychange", seen);
      stop();
    };
  }, [store, news, on]);
}

function newsOf(frame: Signal): string | null {
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
