import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";

import { ApiError, EventParser, Streamchat } from "../../../assets/streamchat-client.js";

const VECTORS = new URL("../../../shared/recordings/sse-vectors/eventsource-vectors.json", import.meta.url).pathname;
const vectors = existsSync(VECTORS) ? JSON.parse(readFileSync(VECTORS, "utf8")) : [];

const parse = (chunks) => {
  const parser = new EventParser();
  return { parser, events: chunks.flatMap((chunk) => parser.feed(chunk)) };
};

// What browsers make of these bytes, however they are cut.
for (const vector of vectors) {
  test(`as a browser reads it: ${vector.name}`, () => {
    const bytes = Uint8Array.from(atob(vector.b64), (char) => char.charCodeAt(0));
    const step = Math.max(1, Math.floor(bytes.length / 300));
    const cuts = [[bytes], Array.from(bytes, (byte) => Uint8Array.of(byte))];
    for (let at = 0; at < bytes.length; at += step) cuts.push([bytes.slice(0, at), bytes.slice(at)]);
    for (const chunks of cuts) {
      const { parser, events } = parse(chunks);
      const heard = events.filter(({ event }) => vector.types.includes(event));
      expect(heard.map(({ event, data, id }) => ({ event, data, id }))).toEqual(vector.expected);
      expect(parser.lastEventId || null).toBe(vector.last_event_id_header);
      if (parser.retry !== undefined) expect(Math.abs(vector.reconnect_ms - parser.retry)).toBeLessThan(200);
    }
  });
}

test("line ends, a byte order mark and characters may be cut anywhere", () => {
  const bytes = new TextEncoder().encode("\uFEFFid: 1\r\nevent: x\r\ndata: 👩‍🚀\r\ndata:  b\u2028c\r\n\r\n: comment\rdata: z\r\r");
  const whole = parse([bytes]).events;
  expect(whole).toEqual([
    { event: "x", data: "👩‍🚀\n b\u2028c", id: "1" },
    { event: "message", data: "z", id: "1" },
  ]);
  for (let a = 0; a <= bytes.length; a++) {
    for (let b = a; b <= bytes.length; b++) {
      expect(parse([bytes.slice(0, a), bytes.slice(a, b), bytes.slice(b)]).events).toEqual(whole);
    }
  }
});

test("an event of many small pieces costs linear time, and one without an end is refused", () => {
  const parser = new EventParser();
  const piece = new TextEncoder().encode("x".repeat(16));
  parser.feed(new TextEncoder().encode("data: "));
  for (let n = 0; n < 250_000; n++) parser.feed(piece);
  expect(parser.feed(new TextEncoder().encode("\n\n"))[0].data.length).toBe(4_000_000);
  expect(() => parser.feed(new Uint8Array(17_000_000).fill(120))).toThrow(ApiError);
});

// A server of one run, which does as it is told, request by request.
const EVENTS = [
  { type: "reasoning-delta", text: "Well…" },
  { type: "text-delta", text: "Grüße " },
  { type: "text-delta", text: "👩‍🚀 end" },
  { type: "usage", output: 9 },
  { type: "finished", reason: "stop" },
];
const WIRE = EVENTS.map((event, n) => `id: ${n + 1}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
const ALL = EVENTS.map((event, n) => ({ ...event, seq: n + 1 }));
const MESSAGE = { id: "run-1", role: "assistant", status: "finished", text: "Grüße 👩‍🚀 end", parts: [] };
const servers = [];
afterAll(() => servers.forEach((server) => server.stop(true)));

function serve(...plan) {
  const [asked, keys] = [[], []];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      asked.push({ method: request.method, path: pathname, after: searchParams.get("after"), body: await request.text() });
      keys.push(request.headers.get("Authorization"));
      const told = request.method === "POST" || pathname.endsWith("/events") ? plan.shift() : undefined;
      if (told?.status) return new Response(told.body, told);
      if (request.method === "POST") return Response.json({ run_id: "run-1", conversation_id: "c" }, { status: 201 });
      if (!pathname.endsWith("/events")) return Response.json({ run_id: "run-1", seq: 5, status: "finished", message: MESSAGE });
      const text = told?.text ?? WIRE.slice(Number(searchParams.get("after"))).join("") + "data: [DONE]\n\n";
      const bytes = new TextEncoder().encode(text).slice(0, told?.cut);
      const body = new ReadableStream({
        async start(stream) {
          stream.enqueue(bytes);
          for (let n = 0; n < (told?.pings ?? 0); n++) {
            await Bun.sleep(50);
            stream.enqueue(new TextEncoder().encode(":\n\n"));
          }
          if (!told?.hold) stream.close();
        },
      });
      return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
    },
  });
  servers.push(server);
  return { asked, keys, client: new Streamchat({ url: `http://127.0.0.1:${server.port}/`, patience: 10_000 }) };
}

const all = async (run) => {
  const events = [];
  for await (const event of run) events.push(event);
  return events;
};

test("a loop gets every event once, over connections that break", async () => {
  const { client, asked } = serve({}, { cut: 0 }, { cut: 100 }, { status: 503 }, { cut: 190 });
  const run = await client.start("hi", { model: "m:x" });
  expect(await all(run)).toEqual(ALL);
  expect([run.text, run.seq, run.ending]).toEqual([MESSAGE.text, 5, ALL[4]]);
  expect(asked.slice(1).map(({ after }) => after)).toEqual(["0", "0", "1", "1", "3"]);
});

test("a callback gets every event, and done is the ending", async () => {
  const { client } = serve({}, { cut: 150 });
  const heard = [];
  const run = await client.start("hi", { onEvent: (event, run) => heard.push([event, run.text]) });
  expect(await run.done).toEqual(ALL[4]);
  expect(heard.map(([event]) => event)).toEqual(ALL);
  expect(heard.map(([, text]) => text)).toEqual(["", "Grüße ", MESSAGE.text, MESSAGE.text, MESSAGE.text]);
});

test("a start whose answer is lost is sent again as the same message", async () => {
  const { client, asked } = serve({ status: 502, body: "<html>" }, { status: 503 });
  await client.start("hi", { model: "m:x", conversationId: "c", system: "s", options: { max_tokens: 5 } });
  const bodies = asked.map(({ body }) => JSON.parse(body));
  expect(bodies.length).toBe(3);
  expect(bodies[1]).toEqual(bodies[0]);
  const { client_message_id: id, ...rest } = bodies[0];
  expect(id).toMatch(/^[a-p]{24}$/);
  expect(rest).toEqual({ message: "hi", model: "m:x", conversation_id: "c", system: "s", options: { max_tokens: 5 } });
});

test("headers are sent with every request", async () => {
  const { client, keys } = serve();
  client.headers = { Authorization: "Bearer sck_1" };
  const run = await client.start("hi");
  await all(run);
  await client.get("run-1");
  await run.stop();
  await client.decide("run-1", { call_id: "c", approve: true });
  expect(keys).toEqual(Array(5).fill("Bearer sck_1"));
});

test("what is refused is said at once, with the server's sentence", async () => {
  const { client, asked } = serve({ status: 400, body: JSON.stringify({ error: { message: "No, because.", kind: "k" } }) });
  const error = await client.start("hi").catch((error) => error);
  expect([error.message, error.kind, error.status, asked.length]).toEqual(["No, because.", "k", 400, 1]);
});

test("a snapshot is the text from there on; an ended run that was read to its end says so", async () => {
  const told = { seq: 3, message: { ...MESSAGE, status: "streaming", text: "whole" } };
  const one = serve({ text: `id: 3\nevent: snapshot\ndata: ${JSON.stringify(told)}\n\n` });
  const run = one.client.follow("run-1", { after: 2 });
  expect((await all(run)).map(({ seq, type }) => [seq, type])).toEqual([[3, "snapshot"], [4, "usage"], [5, "finished"]]);
  expect(run.text).toBe("whole");
  for (const last of [{ status: 204 }, { text: "data: [DONE]\n\n" }]) {
    const other = serve(last).client.follow("run-1", { after: 5 });
    expect((await all(other)).map(({ type }) => type)).toEqual(["snapshot"]);
    expect([other.text, other.ending.type]).toEqual([MESSAGE.text, "finished"]);
  }
});

test("a replay changes nothing; a missing number is asked for", async () => {
  const one = serve({ text: WIRE[0] + WIRE[0] + WIRE.join("") });
  expect(await all(one.client.follow("run-1"))).toEqual(ALL);
  expect(one.asked.map(({ after }) => after)).toEqual(["0"]);
  const two = serve({ text: WIRE[0] + WIRE[2] });
  expect(await all(two.client.follow("run-1"))).toEqual(ALL);
  expect(two.asked.map(({ after }) => after)).toEqual(["0", "1"]);
});

test("to leave a loop or to abort ends the reading, never the run; the next loop goes on", async () => {
  const { client, asked } = serve({ text: WIRE[0] + WIRE[1], hold: true }, { hold: true, text: WIRE[2] });
  const run = client.follow("run-1");
  for await (const event of run) if (event.seq === 2) break;
  const abort = new AbortController();
  const heard = [];
  const other = client.follow("run-1", { after: 2, signal: abort.signal, onEvent: (event) => heard.push(event.seq) && abort.abort() });
  expect((await other.done.catch((error) => error)).name).toBe("AbortError");
  expect(heard).toEqual([3]);
  expect((await all(run)).map(({ seq }) => seq)).toEqual([3, 4, 5]);
  expect(asked.some(({ method }) => method === "DELETE")).toBe(false);
  await run.stop();
  expect(asked.at(-1).method).toBe("DELETE");
});

test("it does not try for ever", async () => {
  const client = new Streamchat({ url: "http://127.0.0.1:1", patience: 200 });
  await expect(client.start("hi")).rejects.toThrow();
  const { client: cut } = serve(...Array(200).fill({ cut: 3 }));
  cut.patience = 300;
  await expect(all(cut.follow("run-1"))).rejects.toThrow("ended before");
});

test("a quiet connection that lasts is a sign of life: what waits is read for as long as it takes", async () => {
  const quiet = { text: ": hello\n\n", pings: 14 }; // each lasts longer than the patience
  const run = serve({ text: WIRE[0], pings: 14 }, quiet, quiet);
  run.client.patience = 300;
  const conversation = serve(quiet, quiet, { text: 'event: deleted\ndata: {"type":"deleted"}\n\ndata: [DONE]\n\n' });
  conversation.client.patience = 300;
  const [events, told] = await Promise.all([
    all(run.client.follow("run-1")),
    all(conversation.client.followConversation("c")),
  ]);
  expect(events).toEqual(ALL);
  expect(run.asked.map(({ after }) => after)).toEqual(["0", "1", "1", "1"]);
  expect(told.map(({ type }) => type)).toEqual(["deleted"]);
  expect(conversation.asked.length).toBe(3);
});
