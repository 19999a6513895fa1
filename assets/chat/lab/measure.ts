// What a race measures, and how its numbers are made. Pure.
//
// Times are milliseconds from the moment in which the person sent the prompt.

import { strings } from "../common/strings";

/** 238 words a minute: silent reading of English non-fiction, the mean of 190 studies (Brysbaert 2019). */
export const WORDS_PER_MINUTE = 238;
export const READING_AUTHOR = "Brysbaert 2019";
export const READING_SOURCE = "https://doi.org/10.1016/j.jml.2019.104047";

export type Transport = "buffered" | "sse-fetch" | "sse-eventsource" | "websocket" | "page" | "grpc";

export const TRANSPORTS: readonly Transport[] = [
  "buffered",
  "sse-fetch",
  "sse-eventsource",
  "websocket",
  "page",
  "grpc",
];

/** Time and number of words that had arrived by then, in order. */
export type Sample = readonly [ms: number, words: number];

/** Counts words in a text that comes in pieces. */
export class WordCounter {
  count = 0;
  private inside = false;

  add(text: string): number {
    for (const character of text) {
      const space = /\s/.test(character);
      if (!space && !this.inside) this.count += 1;
      this.inside = !space;
    }
    return this.count;
  }
}

/** How many words a person has read at `until`, who begins with the first one and can never be ahead of the text. */
export function wordsRead(samples: readonly Sample[], until: number, perMinute = WORDS_PER_MINUTE): number {
  const perMs = perMinute / 60_000;
  let read = 0;
  for (const [i, [at, words]] of samples.entries()) {
    if (at >= until) break;
    const next = Math.min(samples[i + 1]?.[0] ?? until, until);
    read = Math.min(words, read + (next - at) * perMs);
  }
  return Math.floor(read);
}

/** How many times sooner there is something to read; `null` if either is not known. */
export function speedup(bufferedFirst: number | null, first: number | null): number | null {
  return bufferedFirst === null || first === null || first <= 0 ? null : bufferedFirst / first;
}

/**
 * What to add to the server's Unix time to get the browser's, in ms.
 *
 * The server opened the run between the request and its response, so if its clock says something else, it is wrong by
 * the difference to the middle; at most half of the round trip remains.
 */
export function clockOffset(openedAt: number, sentAt: number, repliedAt: number): number {
  const agrees = openedAt >= sentAt - 1 && openedAt <= repliedAt + 1;
  return agrees ? 0 : (sentAt + repliedAt) / 2 - openedAt;
}

/** What is asked. The numbers are for the simulator; `null`: what the prompt or the scene says. */
export interface Question {
  prompt: string;
  model: string;
  ttft: number | null;
  rate: number | null;
  n: number | null;
  jitter: number | null;
}

export const NUMBERS = ["ttft", "rate", "n", "jitter"] as const;
export type NumberName = (typeof NUMBERS)[number];

/** Half a second to the first token, 500 tokens at 50 a second: what a chat model often does. */
export const USUAL: Question = {
  prompt: "Explain how HTTP streaming works, in plain words",
  model: "",
  ttft: 500,
  rate: 50,
  n: 500,
  jitter: 0,
};

/** Plays the recording in its message. */
export const REPLAY = "simulator:replay";

export function isSimulated(model: string): boolean {
  return model.startsWith("simulator:");
}

/** The message that is sent: for the simulator, with the form's numbers as its words, unless the prompt has them. */
export function messageOf(question: Question): string {
  if (!isSimulated(question.model)) return question.prompt;
  const said = (name: string) => new RegExp(`(?<!\\S)${name}=`).test(question.prompt);
  const words = NUMBERS.filter((name) => question[name] !== null && !said(name));
  const kind = words.includes("n") && !said("kind") ? ["kind=markdown"] : [];
  return [question.prompt, ...words.map((name) => `${name}=${question[name]}`), ...kind].join(" ");
}

/** The question in an address; what it does not say is as usual. Never more than a form could say. */
export function questionFrom(query: string): Question {
  const values = new URLSearchParams(query);
  const question = { ...USUAL };
  question.prompt = values.get("prompt")?.slice(0, 4000) || USUAL.prompt;
  question.model = values.get("model")?.slice(0, 200) ?? "";
  for (const name of NUMBERS) {
    const text = values.get(name);
    if (text !== null) question[name] = numberOf(text) ?? USUAL[name];
  }
  return question;
}

/** A number of the form: not negative and finite, else `null`. */
export function numberOf(text: string): number | null {
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) && value >= 0 ? Math.min(value, 1_000_000) : null;
}

/** The address's query that fills the form with this question. */
export function queryOf(question: Question): string {
  const values = new URLSearchParams({ prompt: question.prompt, model: question.model });
  if (isSimulated(question.model)) {
    for (const name of NUMBERS) if (question[name] !== null) values.set(name, String(question[name]));
  }
  return values.toString();
}

/** One row of the exported table. `null`: not known. */
export interface Result {
  transport: Transport;
  state: string;
  first_ms: number | null;
  last_ms: number | null;
  bytes: number;
  words: number;
  words_read: number;
  speedup: number | null;
}

const COLUMNS = ["transport", "state", "first_ms", "last_ms", "bytes", "words", "words_read", "speedup"] as const;

export function toCsv(results: readonly Result[]): string {
  const lines = results.map((result) => COLUMNS.map((column) => result[column] ?? "").join(","));
  return `${[COLUMNS.join(","), ...lines].join("\r\n")}\r\n`;
}

export function round(value: number | null, digits = 1): number | null {
  return value === null ? null : Number(value.toFixed(digits));
}

/** Milliseconds for people. */
export function seconds(ms: number | null): string {
  return ms === null ? "–" : strings().common.seconds(ms);
}
