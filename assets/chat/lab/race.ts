// A race: one run, read over every transport at once, with the time at which each had its text.
//
// Knows the readers and the clock; knows nothing of React: `view` is what the page shows at a moment. Rules:
//
// * One request to the provider. Every transport reads the same log, so none of them changes what the others get.
// * Times are those at which this script had the text; it is painted with the next frame of the screen. Only those of
//   gRPC are the server's, moved to this clock.
// * A new race, or a stop, ends all readers of the one before.

import { labStrings } from "../common/strings/lab";
import type { EndFrame, MessagesFrame, PieceFrame } from "../store/frames";
import {
  clockOffset,
  messageOf,
  type Question,
  REPLAY,
  type Result,
  round,
  type Sample,
  speedup,
  TRANSPORTS,
  type Transport,
  WordCounter,
  wordsRead,
} from "./measure";
import {
  byteLength,
  type Reader,
  readBuffered,
  readByEventSource,
  readByFetch,
  readByWebSocket,
  type Sink,
  startRun,
  stopRun,
  type Timing,
} from "./readers";

const TAIL = 240; // characters of a row's text that are shown
const SILENCE_MS = 15_000; // after the end of the others, a reader that says nothing has failed

export type RowState = "idle" | "running" | "done" | "failed" | "off";

/** The log's times, as the last frame of the page's path. Unix seconds of the server. */
export interface TimesFrame {
  k: "times";
  m: string;
  opened: number | null;
  first: number | null;
  last: number | null;
  complete: number | null;
}

export interface FailedFrame {
  k: "failed";
  m: string;
  text: string;
}

export type PageFrame = PieceFrame | MessagesFrame | EndFrame | TimesFrame | FailedFrame;

/** A file with an answer and its times, as the server saves it. */
export interface Recording {
  name: string;
  text: string;
}

/** What came over gRPC since the frame before: pairs of arrival (Unix seconds of the server) and text. */
export interface GrpcFrame {
  m?: string;
  n?: number;
  pieces?: [number, string][];
  bytes?: number;
  end?: boolean;
  why?: string;
  kind?: string;
}

export interface Row extends Result {
  transport: Transport;
  state: RowState;
  /** Time so far, or until its end. */
  clock: number;
  /** The last of its text. */
  tail: string;
  /** Why it failed or is off. */
  note: string;
}

/** The log's own times, in ms from Send. */
export interface LogTimes {
  ttfb: number | null;
  ttft: number | null;
  ttlt: number | null;
  ttc: number | null;
}

export interface View {
  state: "idle" | "running" | "done";
  error: string;
  runId: string;
  conversationId: string;
  question: Question | null;
  rows: Row[];
  samples: Partial<Record<Transport, readonly Sample[]>>;
  /** Of the page's own path, or of the first transport that streamed. */
  headline: Row | null;
  log: LogTimes | null;
}

const READERS: Partial<Record<Transport, Reader>> = {
  buffered: readBuffered,
  "sse-fetch": readByFetch,
  "sse-eventsource": readByEventSource,
  websocket: readByWebSocket,
};
const HEADLINE: readonly Transport[] = ["page", "sse-fetch", "websocket", "sse-eventsource", "grpc"];

/** The request that plays a recording. */
function replayOf({ name, text }: Recording): object {
  const file = { type: "file", name: name || "recording.json", text, media_type: "application/json" };
  return { model: REPLAY, message: [file] };
}

/** One transport in a race. */
class Track {
  state: RowState = "idle";
  first: number | null = null;
  last: number | null = null;
  ended: number | null = null;
  bytes = 0;
  length = 0;
  tail = "";
  note = "";
  samples: Sample[] = [];
  private counter = new WordCounter();

  get words(): number {
    return this.counter.count;
  }

  add(at: number, text: string): void {
    if (!text) return;
    this.first ??= at;
    this.last = at;
    this.length += text.length;
    this.tail = (this.tail + text).slice(-TAIL);
    this.samples.push([at, this.counter.add(text)]);
  }

  replace(at: number, text: string): void {
    if (text.length <= this.length) return;
    this.counter = new WordCounter();
    this.length = 0;
    this.tail = "";
    this.add(at, text);
  }

  finish(at: number, state: RowState, note = ""): void {
    if (this.state !== "running") return;
    this.state = state;
    this.ended = at;
    this.note = note;
  }
}

export class Race {
  private tracks = new Map<Transport, Track>(TRANSPORTS.map((id) => [id, new Track()]));
  private state: View["state"] = "idle";
  private question: Question | null = null;
  private error = "";
  private runId = "";
  private conversationId = "";
  private sent = 0;
  private replied = 0;
  private abort = new AbortController();
  private times: TimesFrame | null = null;
  private timing: Timing = {};
  private early: GrpcFrame[] = [];
  private lastPage: unknown = null;
  private pageSeq = 0;
  // Of the last piece: one without a place continues it.
  private pagePart = 0;
  private pageType: PieceFrame["y"];
  private lengths = new Map<number, number>();
  private grpcNumber = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `now`: milliseconds of a clock that never goes back. `origin`: its zero, in Unix milliseconds. */
  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly origin: () => number = () => performance.timeOrigin,
  ) {}

  /** Asks, and begins to read. `onRun` is called with the run's id, for the readers on the server. */
  async start(question: Question, onRun: (runId: string) => void, recording?: Recording): Promise<void> {
    this.reset(question);
    const { signal } = this.abort;
    this.sent = this.now();
    try {
      const run = await startRun(
        recording ? replayOf(recording) : { model: question.model, message: messageOf(question) },
      );
      if (signal.aborted) return void stopRun(run.run_id);
      this.replied = this.now();
      this.runId = run.run_id;
      this.conversationId = run.conversation_id;
    } catch (error) {
      if (signal.aborted) return;
      this.error = error instanceof Error ? error.message : String(error);
      for (const track of this.tracks.values()) track.finish(this.elapsed(), "failed");
      this.settle();
      return;
    }
    for (const [transport, read] of Object.entries(READERS) as [Transport, Reader][]) {
      read(this.runId, this.sink(transport), signal);
    }
    onRun(this.runId);
  }

  /** Stops the answer: its readers get what there is, and its end. */
  stop(): void {
    if (this.runId) void stopRun(this.runId);
    else this.dispose();
  }

  /** Ends all readers, not the answer. */
  dispose(): void {
    this.abort.abort();
    clearTimeout(this.timer);
    for (const track of this.tracks.values()) track.finish(this.elapsed(), "failed", labStrings().lab.stopped);
    this.settle();
  }

  /** A value of the state's var `f`. The same one may come twice. */
  pageFrame(frame: PageFrame | Record<string, never> | undefined): void {
    if (!frame || frame === this.lastPage || this.state !== "running") return;
    this.lastPage = frame;
    const of = frame.k === "messages" ? frame.messages[0].id : frame.m;
    if (!this.runId || of !== this.runId) return;
    const track = this.track("page");
    const at = this.elapsed();
    if (frame.k === "times") {
      this.times = frame;
      this.takeGrpc();
      this.settle();
    } else if (frame.k === "failed") {
      track.finish(at, "failed", frame.text);
      this.settle();
    } else if (track.state === "running") {
      track.bytes += byteLength(JSON.stringify(frame));
      this.takePage(track, at, frame as PieceFrame | MessagesFrame | EndFrame);
    }
  }

  /** A value of the state's var `g`. */
  grpcFrame(frame: GrpcFrame | undefined): void {
    if (!this.runId || frame?.m !== this.runId || !frame.n || frame.n <= this.grpcNumber) return;
    this.grpcNumber = frame.n;
    const track = this.track("grpc");
    if (track.state !== "running") return;
    this.early.push(frame);
    // The server's times are moved to this clock once the log's times are known; until then those of the frames count.
    const at = this.elapsed();
    track.bytes = frame.bytes ?? track.bytes;
    for (const [, text] of frame.pieces ?? []) track.add(at, text);
    if (frame.why) track.finish(at, frame.kind === "unavailable" ? "off" : "failed", frame.why);
    if (frame.end) {
      track.finish(at, "done");
      this.takeGrpc();
    }
    this.settle();
  }

  view(): View {
    const now = this.elapsed();
    const buffered = this.track("buffered");
    const until = buffered.first ?? now;
    const rows = TRANSPORTS.map((id) => this.row(id, now, until, buffered.first));
    const streamed = HEADLINE.map((id) => rows.find((row) => row.transport === id));
    const samples = Object.fromEntries([...this.tracks].map(([id, track]) => [id, track.samples]));
    return {
      state: this.state,
      error: this.error,
      runId: this.runId,
      conversationId: this.conversationId,
      question: this.question,
      rows,
      samples: this.state === "done" ? samples : {},
      headline: streamed.find((row) => row?.state === "done" && row.speedup !== null) ?? null,
      log: this.state === "done" ? this.logTimes() : null,
    };
  }

  private row(id: Transport, now: number, until: number, bufferedFirst: number | null): Row {
    const track = this.track(id);
    return {
      transport: id,
      state: track.state,
      first_ms: round(track.first),
      last_ms: round(track.last),
      bytes: track.bytes,
      words: track.words,
      words_read: wordsRead(track.samples, until),
      speedup: round(speedup(round(bufferedFirst), round(track.first)), 3),
      clock: track.state === "idle" ? 0 : (track.ended ?? now),
      tail: track.tail,
      note: track.note,
    };
  }

  private reset(question: Question): void {
    this.abort.abort();
    clearTimeout(this.timer);
    this.abort = new AbortController();
    this.tracks = new Map(TRANSPORTS.map((id) => [id, new Track()]));
    for (const track of this.tracks.values()) track.state = "running";
    this.state = "running";
    this.question = question;
    this.error = this.runId = this.conversationId = "";
    this.times = null;
    this.timing = {};
    this.early = [];
    this.pageSeq = this.grpcNumber = 0;
    this.lengths.clear();
  }

  private elapsed(): number {
    return this.now() - this.sent;
  }

  private track(id: Transport): Track {
    return this.tracks.get(id) as Track;
  }

  private sink(id: Transport): Sink {
    const track = this.track(id);
    const finish = (state: RowState, note = "") => {
      track.finish(this.elapsed(), state, note);
      this.settle();
    };
    return {
      bytes: (count) => {
        track.bytes += count;
      },
      text: (piece) => track.add(this.elapsed(), piece),
      whole: (text) => track.replace(this.elapsed(), text),
      timing: (timing) => {
        this.timing = timing;
      },
      event: () => {},
      end: () => finish("done"),
      fail: (why) => finish("failed", why),
    };
  }

  private takePage(track: Track, at: number, frame: PieceFrame | MessagesFrame | EndFrame): void {
    if (frame.k === "messages") {
      const [message] = frame.messages;
      this.pageSeq = message.seq;
      for (const [i, part] of message.parts.entries()) {
        if ("text" in part) this.lengths.set(i, part.text.length);
      }
      track.replace(at, message.text);
      if (!["streaming", "waiting"].includes(message.status)) track.finish(at, "done");
    } else if (frame.k === "end") {
      track.finish(at, frame.length === track.length ? "done" : "failed", labStrings().lab.piecesMissing);
      if (track.state === "done") track.note = "";
    } else if (frame.k === undefined) {
      this.takePiece(track, at, frame);
    }
    this.settle();
  }

  private takePiece(track: Track, at: number, frame: PieceFrame): void {
    if (frame.s !== undefined && frame.s <= this.pageSeq) return;
    const { s = this.pageSeq, p = this.pagePart, y = p === this.pagePart ? this.pageType : undefined, t } = frame;
    const length = this.lengths.get(p) ?? 0;
    if ((frame.o ?? length) !== length) track.finish(at, "failed", labStrings().lab.frameLost);
    [this.pageSeq, this.pagePart, this.pageType] = [s, p, y];
    this.lengths.set(p, length + t.length);
    if (!y) track.add(at, t);
  }

  // Puts the server's own times in the place of those at which its frames came here.
  private takeGrpc(): void {
    const track = this.track("grpc");
    const offset = this.serverOffset();
    if (offset === null || track.state !== "done") return;
    const exact = new Track();
    for (const { pieces } of this.early) {
      for (const [at, text] of pieces ?? []) exact.add(at * 1000 + offset - this.origin() - this.sent, text);
    }
    track.first = exact.first;
    track.last = exact.last;
    track.samples = exact.samples;
    this.early = [];
  }

  // From the server's Unix milliseconds to the browser's.
  private serverOffset(): number | null {
    const opened = this.times?.opened;
    if (opened === null || opened === undefined) return null;
    return clockOffset(opened * 1000, this.origin() + this.sent, this.origin() + this.replied);
  }

  private logTimes(): LogTimes | null {
    const offset = this.serverOffset();
    if (offset === null || !this.times) return null;
    const since = (at: number | null) => (at === null ? null : round(at * 1000 + offset - this.origin() - this.sent));
    const [ttft, ttlt, ttc] = [since(this.times.first), since(this.times.last), since(this.times.complete)];
    // The server's figures have a zero of their own, before the run was opened: only differences are taken.
    const { ttfb_ms, ttlt_ms } = this.timing;
    const known = ttlt !== null && typeof ttfb_ms === "number" && typeof ttlt_ms === "number";
    return { ttfb: known ? round(ttlt - (ttlt_ms - ttfb_ms)) : null, ttft, ttlt, ttc };
  }

  private settle(): void {
    const tracks = [...this.tracks.values()];
    if (this.state !== "running") return;
    if (tracks.every((track) => track.state !== "running")) {
      clearTimeout(this.timer);
      // The log's times come right behind the end of the page's path.
      if (this.times || this.error || this.abort.signal.aborted || this.track("page").state !== "done") {
        this.state = "done";
      } else {
        this.timer = setTimeout(() => {
          this.state = "done";
        }, SILENCE_MS);
      }
    } else if (this.track("buffered").state !== "running") {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => {
        for (const track of tracks) track.finish(this.elapsed(), "failed", labStrings().lab.nothingCame);
        this.settle();
      }, SILENCE_MS);
    }
  }
}
