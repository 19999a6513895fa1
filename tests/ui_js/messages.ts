// Messages, frames and a clock for tests of the store and of components.

import type { Frame, Message, OpenFrame, Part } from "../../assets/chat/store/frames";
import type { OtherView, PartView, TextView } from "../../assets/chat/store/message-parts";
import type { Clock } from "../../assets/chat/store/resync";
import { TranscriptStore, textOf } from "../../assets/chat/store/transcript-store";

interface Timer {
  action: () => void;
  at: number;
}

/** A clock that stands still until `pass`. */
export class TestClock implements Clock {
  private time = 0;
  private timers: Timer[] = [];

  now = () => this.time;

  later = (action: () => void, ms: number) => {
    const timer = { action, at: this.time + ms };
    this.timers.push(timer);
    return timer;
  };

  clear = (timer: unknown) => {
    this.timers = this.timers.filter((other) => other !== timer);
  };

  pass(ms: number) {
    this.time += ms;
    const due = this.timers.filter((timer) => timer.at <= this.time);
    this.timers = this.timers.filter((timer) => timer.at > this.time);
    for (const { action } of due) action();
  }
}

/** A finished answer. */
export function message(id: string, text = "", more: Partial<Message> = {}): Message {
  const parts: Part[] = text ? [{ type: "text", text }] : [];
  return { id, role: "assistant", status: "finished", model: "m", text, parts, stop_reason: "stop", seq: 0, ...more };
}

/** An answer under way. */
export function streaming(id: string, text = "", seq = 0, more: Partial<Message> = {}): Message {
  return message(id, text, { status: "streaming", stop_reason: null, seq, ...more });
}

export function open(messages: Message[], more: Partial<OpenFrame> = {}): OpenFrame {
  return { k: "open", g: 1, conversation: "c", title: "T", messages, earlier: false, missing: false, ...more };
}

/** A store that got these messages; `resyncs` are the times at which it asked for the transcript. */
export function opened(...messages: Message[]) {
  const clock = new TestClock();
  const resyncs: number[] = [];
  const store = new TranscriptStore({ clock });
  store.onResync(() => resyncs.push(clock.now()));
  store.feed(open(messages));
  store.flush();
  return { store, clock, resyncs };
}

/** What is painted of a message. */
export function viewOf(store: TranscriptStore, id: string) {
  store.flush();
  const view = store.message(id);
  if (!view) throw new Error(`there is no message ${id}`);
  return view;
}

export function textIn(store: TranscriptStore, id: string): string {
  return textOf(viewOf(store, id));
}

export function asText(part: PartView | undefined): TextView {
  if (!part?.splitter) throw new Error("this part is no text");
  return part;
}

export function asCall(part: PartView | undefined): Extract<OtherView, { type: "tool_call" }> {
  if (part?.type !== "tool_call") throw new Error("this part is no tool call");
  return part;
}

export function feedAll(store: TranscriptStore, ...frames: Frame[]) {
  for (const frame of frames) store.feed(frame);
}
