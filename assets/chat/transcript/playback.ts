// A recording of an answer, played in the page: its events up to a moment, as the message that they made.
//
// Pure. Knows the form of `GET /api/runs/{id}/recording`; the times are those of a clock that the caller moves.
// Rule: a replay decides nothing. A call that waited for an approval is ready here, and offers no form.

import type { Json, Status, ToolCallPart, ToolState } from "../store/frames";
import { endTexts, type MessageView, type StoredPart, takePiece, viewOf } from "../store/message-parts";

export interface RecordedEvent {
  at_ms: number;
  type: string;
  text?: string;
  call_id?: string;
  name?: string;
  by_provider?: boolean;
  arguments?: { [name: string]: Json };
  state?: ToolState;
  result?: Json;
  error?: string;
  duration_ms?: number;
  url?: string;
  title?: string;
  kind?: string;
  data?: { [name: string]: Json };
}

export interface Recording {
  model: string;
  status: Status;
  events: RecordedEvent[];
}

// Letters before a place by which it is found again.
const [LEAST_BEFORE, MOST_BEFORE] = [3, 40];

export class Playback {
  /** How many events are shown. */
  position = 0;
  /** In ms from the moment in which the run was opened. */
  clock = 0;
  private parts: StoredPart[] = [];

  constructor(
    private readonly recording: Recording,
    private readonly id: string,
  ) {}

  get length(): number {
    return this.recording.events.length;
  }

  /** The time of the last event. */
  get duration(): number {
    return this.recording.events.at(-1)?.at_ms ?? 0;
  }

  get ended(): boolean {
    return this.position >= this.length;
  }

  /** The last event that is shown. */
  get current(): RecordedEvent | undefined {
    return this.recording.events[this.position - 1];
  }

  /** Lets time pass. */
  advance(ms: number): void {
    this.clock = Math.min(this.clock + ms, this.duration);
    while (!this.ended && this.recording.events[this.position].at_ms <= this.clock) this.apply();
  }

  /** Shows the next event, whenever it came. */
  step(): void {
    if (!this.ended) this.seek(this.position + 1);
  }

  /** Shows so many events, and sets the clock to the time of the last one. */
  seek(position: number): void {
    const wanted = Math.max(0, Math.min(position, this.length));
    if (wanted < this.position) {
      this.position = 0;
      this.parts = [];
    }
    while (this.position < wanted) this.apply();
    this.clock = this.current?.at_ms ?? 0;
  }

  /** After how many events the answer is there up to the end of `read`, its beginning as one reads it; 0: after none. */
  positionAfter(read: string): number {
    const before = letters(read);
    let text = "";
    const lengths = this.recording.events.map(({ type, text: piece = "" }) => {
      if (type === "text-delta") text += letters(piece);
      return text.length;
    });
    // The source has more than one reads, as addresses of links: a place is known by as much of what is before it as
    // is in both, and of several places the nearest is meant.
    for (let size = Math.min(MOST_BEFORE, before.length); size >= LEAST_BEFORE; size -= 1) {
      const end = nearestEnd(text, before.slice(-size), before.length);
      if (end) return lengths.findIndex((length) => length >= end) + 1;
    }
    return 0;
  }

  /** The message as it was then. */
  view(): MessageView {
    const status = this.ended ? this.recording.status : "streaming";
    return viewOf({
      fields: { id: this.id, role: "assistant", status, model: this.recording.model, stop_reason: null },
      parts: this.parts,
      ...{ firstReceived: 0, lastReceived: 0, tally: { pieces: 0, gaps: 0, reconnects: 0, lags: [] } },
    });
  }

  private apply(): void {
    const event = this.recording.events[this.position];
    this.position += 1;
    const { text = "", call_id: id = "" } = event;
    switch (event.type) {
      case "text-delta":
        return this.say("text", text);
      case "reasoning-delta":
        return this.say("reasoning", text);
      case "tool-call-start": {
        const call = { id, name: event.name ?? "", state: "receiving", arguments: null } as const;
        this.parts.push({ type: "tool_call", ...call, by_provider: event.by_provider });
        return;
      }
      case "tool-call-ready":
        return this.change(id, { state: "ready", arguments: event.arguments ?? {} });
      case "tool-progress":
        return this.change(id, { state: "running", ...(text && { progress: [text] }) });
      case "tool-result": {
        const { state = "done", result, error, duration_ms } = event;
        return this.change(id, { state, result, error, duration_ms });
      }
      case "source":
        this.parts.push({ type: "source", url: event.url ?? "", title: event.title });
        return;
      case "notice":
        this.parts.push({ type: "notice", kind: event.kind ?? "", text, data: event.data });
        return;
    }
    if (this.ended) endTexts(this.parts);
  }

  private say(type: "text" | "reasoning", text: string): void {
    const last = this.parts.length - 1;
    const part = this.parts[last];
    const grows = part?.splitter && part.type === type;
    if (text) takePiece(this.parts, grows ? last : last + 1, grows ? part.length : 0, text, type);
  }

  private change(id: string, changes: Partial<ToolCallPart>): void {
    const index = this.parts.findLastIndex((part) => part.type === "tool_call" && part.id === id);
    if (index < 0) return;
    // Another object: what is painted is compared by identity.
    this.parts[index] = { ...(this.parts[index] as ToolCallPart), ...changes };
  }
}

// Without the marks of Markdown, spaces and breaks.
function letters(text: string): string {
  return text.replace(/[^\p{L}\p{N}]/gu, "");
}

// Where the occurrence of `part` ends that ends nearest to `expected`; 0 without any.
function nearestEnd(text: string, part: string, expected: number): number {
  let nearest = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) {
    const end = at + part.length;
    if (!nearest || Math.abs(end - expected) < Math.abs(nearest - expected)) nearest = end;
  }
  return nearest;
}
