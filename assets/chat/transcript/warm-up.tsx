// Renders a question and the first words of an answer once while an empty page is idle, outside of the document. The
// first message that a page shows takes several times as long as the second one: by then the browser has compiled what
// messages are made of. Rules:
//
// * Nothing of it is in the document, and it has a chat of its own: nobody can see, hear, find, print or send it.
// * It takes no time from typing: it begins when the page is idle, and what renders it can be interrupted.

import { type ComponentType, startTransition, useEffect, useState } from "react";
import { createPortal, flushSync } from "react-dom";
import { ChatProvider, createChat } from "../chat";
import { idle } from "../markdown/idle-queue";
import type { Message } from "../store/frames";

const [QUESTION, ANSWER] = ["warm-up-question", "warm-up-answer"];

interface Props {
  Message: ComponentType<{ id: string; last: boolean; eager: boolean }>;
  /** Whether the page is empty. */
  wanted: boolean;
}

export function WarmUp({ Message, wanted }: Props) {
  const [step, setStep] = useState<"not yet" | "now" | "done">("not yet");
  const [chat] = useState(createChat);
  const [place] = useState(() => document.createElement("div"));
  useEffect(() => {
    if (!wanted || step === "done") return;
    let left = false;
    void idle(10_000).then(() => {
      if (left) return;
      if (step === "not yet") {
        chat.store.feed(opened());
        startTransition(() => setStep("now"));
      } else {
        chat.store.feed({ m: ANSWER, s: 1, p: 0, o: 0, t: "1, 2" });
        flushSync(() => chat.store.flush());
        setStep("done");
      }
    });
    return () => {
      left = true;
    };
  }, [wanted, step, chat]);
  if (!wanted || step !== "now") return null;
  return createPortal(
    <ChatProvider value={chat}>
      <Message id={QUESTION} last={false} eager />
      <Message id={ANSWER} last eager />
    </ChatProvider>,
    place,
  );
}

function opened() {
  const messages = [message(QUESTION, "user", "1"), message(ANSWER, "assistant", "")];
  return { k: "open" as const, g: 0, conversation: null, title: "", messages, earlier: false, missing: false };
}

function message(id: string, role: Message["role"], text: string): Message {
  const status = role === "user" ? "finished" : "streaming";
  const parts = text ? [{ type: "text" as const, text }] : [];
  return { id, role, status, model: "", text, parts, stop_reason: null, seq: 0 };
}
