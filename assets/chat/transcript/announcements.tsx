// Announces to screen readers at the boundaries of an answer, never for each token.

import { useEffect, useState } from "react";
import { useChat } from "../chat";
import { strings } from "../common/strings";
import type { EndFrame } from "../store/frames";
import { isRunning, type MessageView } from "../store/message-parts";
import type { Signal, TranscriptStore } from "../store/transcript-store";

export function Announcements() {
  const { store } = useChat();
  const [announcement, announce] = useState("");
  useEffect(() => {
    let { answering } = store.meta();
    const stopMeta = store.subscribeMeta(() => {
      const now = store.meta().answering;
      const { generating } = strings().transcript;
      if (now && !answering) announce(generating);
      // Its end was told before; without one the answer is not shown any more.
      if (!now && answering) announce((text) => (text === generating ? "" : text));
      answering = now;
    });
    // A first answer may be complete before its conversation is open here.
    let sent = false;
    const stopFrames = store.onFrame((frame) => {
      const text = spoken(frame, store, sent);
      if (text) announce(text);
      if (frame.k === "sent") sent = true;
      else if (frame.k === "end" || (frame.k === "open" && frame.messages.length)) sent = false;
    });
    return () => {
      stopMeta();
      stopFrames();
    };
  }, [store]);
  return (
    <div className="sr-only" role="status" aria-live="polite">
      {announcement}
    </div>
  );
}

function spoken(frame: Signal, store: TranscriptStore, sent: boolean): string | null {
  if (frame.k === "say" || frame.k === "undecided") return strings().common.told(frame.text);
  if (frame.k === "patch" && frame.status === "waiting") return strings().transcript.waitingForApproval;
  if (frame.k === "end") return describeEnd(frame, store.text(frame.m));
  const last = frame.k === "open" && sent ? frame.messages.at(-1) : undefined;
  const ended = last?.role === "assistant" && !isRunning(last.status);
  return ended ? describeEnd(last, store.text(last.id)) : null;
}

type Ending = Pick<EndFrame, "why" | "error"> & Pick<MessageView, "status">;

function describeEnd({ status, why, error }: Ending, text: string): string {
  const {
    transcript: t,
    common: { told },
  } = strings();
  if (status === "stopped") return t.stopped;
  if (status !== "finished") return told(why || error?.message || "") || t.cutOff;
  const words = text.split(/\s+/).filter(Boolean).length;
  // An answer may consist of what tools made.
  if (!words) return (why && told(why)) || t.complete;
  return t.completeWords(words);
}
