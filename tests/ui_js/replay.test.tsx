import { afterEach, expect, test } from "bun:test";
import { textOf } from "../../assets/chat/store/message-parts";
import { Playback, type RecordedEvent, type Recording } from "../../assets/chat/transcript/playback";
import Replay from "../../assets/chat/transcript/replay";
import { fireEvent, renderChat, screen, waitFor } from "./dom";

const original = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = original;
});

const EVENTS: RecordedEvent[] = [
  { at_ms: 100, type: "reasoning-delta", text: "Hm. " },
  { at_ms: 200, type: "text-delta", text: "One " },
  { at_ms: 300, type: "text-delta", text: "**two" },
  { at_ms: 400, type: "tool-call-start", call_id: "c", name: "add" },
  { at_ms: 410, type: "tool-call-arguments", call_id: "c" },
  { at_ms: 420, type: "tool-call-ready", call_id: "c", arguments: { a: 1 } },
  { at_ms: 430, type: "waiting" },
  { at_ms: 900, type: "tool-result", call_id: "c", state: "done", result: 3 },
  { at_ms: 1000, type: "text-delta", text: "three" },
  { at_ms: 1100, type: "finished" },
];
const RECORDING: Recording = { model: "m:x", status: "finished", events: EVENTS };

const states = (playback: Playback) =>
  playback.view().parts.flatMap((part) => (part.type === "tool_call" ? [part.state] : []));

test("time brings the events that had come by then, and no later one", () => {
  const playback = new Playback(RECORDING, "r");
  playback.advance(99);
  expect([playback.position, textOf(playback.view())]).toEqual([0, ""]);
  playback.advance(1);
  expect(playback.position).toBe(1);
  playback.advance(150);
  expect(textOf(playback.view())).toBe("One ");
  expect(playback.view().running).toBe(true);
  playback.advance(10_000);
  expect([playback.position, playback.clock, playback.ended]).toEqual([10, 1100, true]);
  expect(textOf(playback.view())).toBe("One **twothree");
  expect(playback.view().status).toBe("finished");
});

test("a step is one event; going back and forth ends where going there once does", () => {
  const stepped = new Playback(RECORDING, "r");
  const told = (playback: Playback) => playback.view().parts.map((part) => part.splitter?.text ?? part.part);
  for (let position = 1; position <= EVENTS.length; position += 1) {
    stepped.step();
    const sought = new Playback(RECORDING, "r");
    sought.seek(EVENTS.length);
    sought.seek(position);
    expect(told(sought)).toEqual(told(stepped));
    expect([sought.position, sought.clock]).toEqual([position, EVENTS[position - 1].at_ms]);
  }
  stepped.step();
  expect(stepped.position).toBe(EVENTS.length);
  stepped.seek(-5);
  expect([stepped.position, stepped.clock, told(stepped)]).toEqual([0, 0, []]);
});

test("a call has the states that it had, and asks nobody again", () => {
  const playback = new Playback(RECORDING, "r");
  const seen: string[][] = [];
  while (!playback.ended) {
    playback.step();
    seen.push(states(playback));
  }
  const expected = [[], [], [], ["receiving"], ["receiving"], ["ready"], ["ready"], ["done"], ["done"], ["done"]];
  expect(seen).toEqual(expected);
});

test("a place that was read is found again, behind marks and addresses, and the nearest of several", () => {
  const pieces = [
    "# One\n\n",
    "See [the ",
    "manual](https://x.org/the-manual), ",
    "then **go",
    "** on. ",
    "Then go on.",
  ];
  const events = [{ at_ms: 1, type: "reasoning-delta", text: "then go" }];
  const all = [...events, ...pieces.map((text) => ({ at_ms: 2, type: "text-delta", text }))];
  const playback = new Playback({ ...RECORDING, events: all }, "r");
  const after = ["One", "One\nSee the", "One\nSee the manual, then", "One\nSee the manual, then go on. Then go"];
  expect(after.map((read) => playback.positionAfter(read))).toEqual([2, 3, 5, 7]);
  for (const nowhere of ["", " \n", "Another text"]) expect(playback.positionAfter(nowhere)).toBe(0);
});

test("events that nobody knows, and results of calls that never began, change nothing", () => {
  const events = [
    { at_ms: 5, type: "tool-result", call_id: "x", state: "done" as const },
    { at_ms: 1, type: "of-tomorrow" },
  ];
  const playback = new Playback({ ...RECORDING, events }, "r");
  playback.seek(2);
  expect(playback.view().parts).toEqual([]);
  expect(new Playback({ ...RECORDING, events: [] }, "r").ended).toBe(true);
});

function serve(response: () => Response) {
  globalThis.fetch = (async () => response()) as unknown as typeof fetch;
}

test("it plays by itself; step, slider and start go where they say", async () => {
  serve(() => Response.json(RECORDING));
  renderChat(<Replay id="r" />);
  fireEvent.change(await screen.findByTestId("replay-speed"), { target: { value: "20" } });
  const panel = screen.getByTestId("replay-panel");
  await waitFor(() => expect(panel.dataset.position).toBe("10"), { timeout: 60_000 });
  await waitFor(() => expect(screen.getByTestId("replay-play").textContent).toBe("Play"), { timeout: 60_000 });
  fireEvent.click(screen.getByTestId("replay-restart"));
  expect(panel.dataset.position).toBe("0");
  fireEvent.click(screen.getByTestId("replay-step"));
  fireEvent.click(screen.getByTestId("replay-step"));
  expect(panel.textContent).toContain("event 2 of 10: text-delta");
  expect(screen.getByTestId("answer").textContent?.trim()).toBe("One");
  fireEvent.change(screen.getByTestId("replay-position"), { target: { value: "9" } });
  expect(panel.dataset.position).toBe("9");
  expect(screen.getByTestId("tool-panel").dataset.state).toBe("done");
}, 130_000);

test("of an answer whose events are gone a sentence is left", async () => {
  serve(() => Response.json({ error: { message: "The events are not kept any more." } }, { status: 404 }));
  renderChat(<Replay id="r" />);
  expect((await screen.findByTestId("replay-problem")).textContent).toBe("The events are not kept any more.");
});

test("another answer goes on from the event that is shown", async () => {
  const sent: [string, unknown][] = [];
  globalThis.fetch = (async (path: string, init?: RequestInit) => {
    if (init?.method === "POST") sent.push([path, JSON.parse(String(init.body))]);
    return Response.json(init?.method === "POST" ? { run_id: "n" } : RECORDING);
  }) as unknown as typeof fetch;
  const message = { id: "r", role: "assistant", status: "finished", model: "m:x", stop_reason: "stop", seq: 10 };
  const { chat } = renderChat(<Replay id="r" />);
  chat.store.feed({ k: "open", g: 1, conversation: "c", title: "", messages: [{ ...message, parts: [] }] } as never);
  fireEvent.change(await screen.findByTestId("replay-position"), { target: { value: "3" } });
  fireEvent.click(screen.getByTestId("replay-continue"));
  await waitFor(() => expect(sent).toHaveLength(1));
  expect(sent[0][0]).toContain("/api/messages/r/regenerate");
  expect(sent[0][1]).toMatchObject({ model: "m:x", after: 3 });
});
