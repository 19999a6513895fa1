// One reader per transport that a browser can read by itself. All of them read the same run.
//
// Knows addresses and formats, neither clocks nor the page. Rules: a reader reports each piece as soon as it has it,
// and ends with exactly one of `end` and `fail`; an abort closes its connection and reports nothing.

import { EventParser } from "../../streamchat-client.js";
import { basePath } from "../common/base-path";
import { messageIn, request } from "../common/request";
import { labStrings } from "../common/strings/lab";

/** The server's own figures, in ms from the moment in which it got the prompt. */
export interface Timing {
  ttfb_ms?: number | null;
  ttlt_ms?: number | null;
}

/** What a reader reports. */
export interface Sink {
  /** Bytes of the body, or of the messages. */
  bytes: (count: number) => void;
  /** New text. */
  text: (piece: string) => void;
  /** The whole text so far, in place of what was reported. */
  whole: (text: string) => void;
  timing?: (timing: Timing) => void;
  /** An event was handled; it comes before its text. */
  event: () => void;
  end: () => void;
  fail: (why: string) => void;
}

export type Reader = (runId: string, sink: Sink, signal: AbortSignal) => void;

const NAMES = (
  "text-delta reasoning-delta tool-call-start tool-call-arguments tool-call-ready tool-progress tool-result source " +
  "usage notice waiting finished stopped failed interrupted snapshot message"
).split(" ");
const ENCODER = new TextEncoder();

export function byteLength(text: string): number {
  return ENCODER.encode(text).length;
}

/** Asks: one run, whoever reads it. */
export function startRun(body: object): Promise<{ run_id: string; conversation_id: string }> {
  return request("POST", "/api/runs", body);
}

/** Stops the run; one that cannot be stopped goes on, and its readers show it. */
export async function stopRun(runId: string): Promise<void> {
  await request("DELETE", runPath(runId)).catch(() => {});
}

/** Ids of the models that can be used now. */
export async function listModels(): Promise<string[]> {
  const { data } = await request<{ data: { id: string }[] }>("GET", "/v1/models");
  return data.map(({ id }) => id);
}

export const readBuffered: Reader = (runId, sink, signal) =>
  guarded(sink, signal, async () => {
    const decoder = new TextDecoder();
    let body = "";
    await eachChunk(`${pathOf(runId)}/events?buffer=1`, sink, signal, (chunk) => {
      body += decoder.decode(chunk, { stream: true });
    });
    sink.event();
    const run = JSON.parse(body);
    if (run.timing) sink.timing?.(run.timing);
    sink.whole(run.message.text);
    sink.end();
  });

export const readByFetch: Reader = (runId, sink, signal) =>
  guarded(sink, signal, async () => {
    const parser = new EventParser();
    let done = false;
    await eachChunk(`${pathOf(runId)}/events`, sink, signal, (chunk) => {
      for (const { event, data } of parser.feed(chunk)) {
        done ||= data === "[DONE]";
        take(event, data, sink);
      }
    });
    if (done) sink.end();
    else sink.fail(labStrings().lab.endedEarly);
  });

export const readByEventSource: Reader = (runId, sink, signal) => {
  const source = new EventSource(`${pathOf(runId)}/events`);
  signal.addEventListener("abort", () => source.close());
  for (const name of NAMES) {
    source.addEventListener(name, ({ data, lastEventId }: MessageEvent<string>) => {
      // The browser does not say how many bytes there were: these are the lines of the event as the server sends it.
      const head = data === "[DONE]" ? "" : `id: ${lastEventId}\nevent: ${name}\n`;
      sink.bytes(byteLength(`${head}data: ${data}\n\n`));
      take(name, data, sink);
      if (data !== "[DONE]") return;
      source.close();
      sink.end();
    });
  }
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED && !signal.aborted) sink.fail(labStrings().lab.refusedConnection);
  };
};

export const readByWebSocket: Reader = (runId, sink, signal) => {
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${pathOf(runId)}/ws`);
  let ended = false;
  const finish = (report: () => void) => {
    if (ended || signal.aborted) return;
    ended = true;
    report();
  };
  signal.addEventListener("abort", () => socket.close());
  socket.onmessage = ({ data }: MessageEvent<string>) => {
    if (ended) return;
    sink.bytes(byteLength(data));
    const { type, error } = JSON.parse(data) as { type: string; error?: { message: string } };
    if (type === "done") finish(sink.end);
    else if (type === "problem") finish(() => sink.fail(error?.message ?? labStrings().lab.refused));
    else if (type !== "ping") take(type, data, sink);
  };
  socket.onclose = () => finish(() => sink.fail(labStrings().lab.closedEarly));
};

function take(name: string, data: string, sink: Sink): void {
  sink.event();
  if (name === "text-delta") sink.text(JSON.parse(data).text);
  else if (name === "snapshot") sink.whole(JSON.parse(data).message.text);
}

function runPath(runId: string): string {
  return `/api/runs/${encodeURIComponent(runId)}`;
}

function pathOf(runId: string): string {
  return basePath() + runPath(runId);
}

async function eachChunk(url: string, sink: Sink, signal: AbortSignal, take: (chunk: Uint8Array) => void) {
  const response = await fetch(url, { signal, cache: "no-store" });
  if (!response.ok || !response.body) throw new Error(await refusal(response));
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    sink.bytes(value.length);
    take(value);
  }
}

async function refusal(response: Response): Promise<string> {
  const body = await response.json().catch(() => null);
  return messageIn(body) ?? labStrings().lab.answered(response.status);
}

async function guarded(sink: Sink, signal: AbortSignal, read: () => Promise<void>): Promise<void> {
  try {
    await read();
  } catch (error) {
    if (!signal.aborted) sink.fail(error instanceof Error ? error.message : String(error));
  }
}
