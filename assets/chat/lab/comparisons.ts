// Three cases in which streaming helps nobody, each shown with real runs that are read both ways at once.
//
// Knows when an answer can be used, and measures when that was. Knows nothing of the page.

import { labStrings } from "../common/strings/lab";
import type { LabStrings } from "../common/strings/lab/en";
import { isSimulated } from "./measure";
import { readBuffered, readByWebSocket, type Sink, startRun } from "./readers";

export interface Comparison {
  id: keyof LabStrings["lab"]["cases"];
  /** What is asked; several are asked at once. */
  bodies: (model: string) => object[];
  /** What can be used of an answer, or `null` if it cannot be used yet. */
  use: (text: string, ended: boolean) => string | null;
}

/** What one way of reading took. Milliseconds from the start until all answers could be used. */
export interface Measured {
  usable: number | null;
  bytes: number;
  /** Messages that the client had to handle. */
  events: number;
  /** Times that the text so far was tried and could not be used. */
  vain: number;
  value: string;
}

export interface Outcome {
  streamed: Measured;
  buffered: Measured;
}

const REVIEW = {
  type: "object",
  properties: {
    sentiment: { type: "string", enum: ["positive", "neutral", "negative"] },
    score: { type: "integer", minimum: 1, maximum: 5 },
    city: { type: "string" },
  },
  required: ["sentiment", "score", "city"],
  additionalProperties: false,
};
const QUESTIONS = ["a cache", "a queue", "a socket", "a cursor"];

// The simulator answers with what follows the first line.
const ECHO = "ttft=400 kind=echo\npositive";

function words(model: string, simulator: string): string {
  return isSimulated(model) ? ` ${simulator}` : "";
}

export const COMPARISONS: readonly Comparison[] = [
  {
    id: "classification",
    bodies: (model) => [
      {
        model,
        message: `Answer with one word, positive or negative: “I would buy it again.”${words(model, ECHO)}`,
      },
    ],
    use: (text, ended) => (ended && text.trim() ? text.trim().split(/\s/)[0] : null),
  },
  {
    id: "json",
    bodies: (model) => [
      {
        model,
        message: `Rate this review: “Paris was lovely, the hotel less so.”${words(model, "rate=30 ttft=400")}`,
        options: { schema: REVIEW },
      },
    ],
    use: (text) => (isReview(text) ? text.trim() : null),
  },
  {
    id: "batch",
    bodies: (model) =>
      QUESTIONS.map((subject) => ({
        model,
        message: `Explain ${subject} in one sentence.${words(model, "n=40 rate=40 ttft=400 kind=markdown")}`,
      })),
    use: (text, ended) => (ended ? text : null),
  },
];

/** Whether a text is JSON by the schema above. */
export function isReview(text: string): boolean {
  try {
    const { sentiment, score, city, ...rest } = JSON.parse(text) as Record<string, unknown>;
    return (
      REVIEW.properties.sentiment.enum.includes(sentiment as string) &&
      Number.isInteger(score) &&
      (score as number) >= 1 &&
      (score as number) <= 5 &&
      typeof city === "string" &&
      Object.keys(rest).length === 0
    );
  } catch {
    return false;
  }
}

/** Asks, and reads each run both ways: one request to the model per question. Throws what went wrong. */
export async function compare(comparison: Comparison, model: string, signal: AbortSignal): Promise<Outcome> {
  const sent = performance.now();
  const runs = await Promise.all(comparison.bodies(model).map(startRun));
  const readings = runs.map(async ({ run_id }) => {
    // WebSockets for those that stream: of HTTP/1.1 a browser opens six connections to a server.
    const streamed = measure((sink) => readByWebSocket(run_id, sink, signal), comparison.use, sent);
    const buffered = measure((sink) => readBuffered(run_id, sink, signal), comparison.use, sent);
    return { streamed: await streamed, buffered: await buffered };
  });
  const all = await Promise.all(readings);
  return { streamed: total(all.map((one) => one.streamed)), buffered: total(all.map((one) => one.buffered)) };
}

function measure(read: (sink: Sink) => void, use: Comparison["use"], sent: number): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const result: Measured = { usable: null, bytes: 0, events: 0, vain: 0, value: "" };
    let text = "";
    const look = (ended: boolean) => {
      if (result.usable !== null) return;
      const value = use(text, ended);
      if (value === null) result.vain += 1;
      else Object.assign(result, { usable: performance.now() - sent, value });
    };
    const took = (next: string) => {
      text = next;
      look(false);
    };
    read({
      bytes: (count) => {
        result.bytes += count;
      },
      event: () => {
        result.events += 1;
      },
      text: (piece) => took(text + piece),
      whole: (all) => all.length > text.length && took(all),
      end: () => {
        look(true);
        resolve(result);
      },
      fail: (why) => reject(new Error(why)),
    });
  });
}

function total(parts: Measured[]): Measured {
  const sum = (key: "bytes" | "events" | "vain") => parts.reduce((n, part) => n + part[key], 0);
  const known = parts.map((part) => part.usable).filter((at) => at !== null);
  return {
    usable: known.length === parts.length ? Math.max(...known) : null,
    bytes: sum("bytes"),
    events: sum("events"),
    vain: sum("vain"),
    value: parts[0].value,
  };
}

const SAME_MS = 100; // nobody notices less (Nielsen 1993: 0.1 s feels instantaneous)

/** What the numbers say, in a sentence; it does not say more than they do. */
export function verdict({ streamed, buffered }: Outcome): string {
  const t = labStrings().lab;
  if (streamed.usable === null && buffered.usable === null) return t.noUse;
  if (streamed.usable === null || buffered.usable === null) return t.oneUse;
  const later = buffered.usable - streamed.usable;
  if (later > SAME_MS) return t.streamedSooner(Math.round(later));
  const when = later < -SAME_MS ? t.bufferedSooner(Math.round(-later)) : t.sameMoment;
  return t.bufferedAsGood(when, buffered.events, streamed.events);
}
