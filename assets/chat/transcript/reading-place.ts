// Where the reader was in each conversation: kept for as long as the tab is open, also over a reload.
//
// A place is a message and how far its top is below that of the view: what is rendered or skipped above does not move
// it. A conversation that was left at its end has none, and is opened at its end.

import { visit } from "../common/storage";

const STORED = "places";
const MAX_PLACES = 50;

export interface Place {
  message: string;
  /** Pixels from the top of the view to the top of the message. */
  top: number;
}

type Places = Record<string, Place>;

/** Where the reader was in this conversation, if not at its end. */
export function placeIn(conversation: string): Place | undefined {
  return visit.get<Places>(STORED)?.[conversation];
}

/** Remembers the place, or with `null` that it is the end. */
export function keepPlace(conversation: string, place: Place | null): void {
  const { [conversation]: before, ...others } = visit.get<Places>(STORED) ?? {};
  if (!place && !before) return;
  const entries = Object.entries(others);
  if (place) entries.push([conversation, place]);
  visit.set(STORED, Object.fromEntries(entries.slice(-MAX_PLACES)));
}

/** The place of what is in view now: that of its first message. */
export function currentPlace(scroller: HTMLElement): Place | null {
  const { top } = scroller.getBoundingClientRect();
  for (const message of scroller.querySelectorAll<HTMLElement>(".message[data-message-id]")) {
    const box = message.getBoundingClientRect();
    if (box.bottom > top) return { message: message.dataset.messageId ?? "", top: Math.round(box.top - top) };
  }
  return null;
}
