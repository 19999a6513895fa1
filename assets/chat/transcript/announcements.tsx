// Announces to screen readers at the boundaries of an answer, never for each token.

import { useEffect, useState } from "react";
import { useChat } from "../chat";
import type { EndFrame } from "../store/frames";
import { type MessageView, textOf } from "../store/message-parts";

export function Announcements() {
  const { store } = useChat();
  const [announcement, announce] = useState("");
  useEffect(() => {
    let { answering } = store.meta();
    const stopMeta = store.subscribeMeta(() => {
      const now = store.meta().answering;
      if (now && !answering) announce("Generating");
      answering = now;
    });
    const stopFrames = store.onFrame((frame) => {
      if (frame.k === "end") announce(describeEnd(frame, store.message(frame.m)));
      if (frame.k === "say" || frame.k === "undecided") announce(frame.text);
      if (frame.k === "patch" && frame.status === "waiting") announce("Waiting for your approval");
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

function describeEnd({ status, why, error }: EndFrame, view: MessageView | undefined): string {
  if (status === "stopped") return "Stopped";
  if (status !== "finished") return why || error?.message || "The answer was cut off before its end.";
  const words = view ? textOf(view).split(/\s+/).filter(Boolean).length : 0;
  return `Complete, ${words} ${words === 1 ? "word" : "words"}`;
}
