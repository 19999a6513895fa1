import { expect, test } from "bun:test";
import { render } from "@testing-library/react";
import { type PageFrame, Race, type Row } from "../../assets/chat/lab/race";
import { Rows } from "../../assets/chat/lab/rows";
import { screen } from "./dom";

const idle = new Race().view();

function show(changes: Partial<Row>) {
  const rows = idle.rows.map((row) => (row.transport === "sse-fetch" ? { ...row, ...changes } : row));
  const { container } = render(<Rows view={{ ...idle, rows }} />);
  return { container, row: screen.getAllByTestId("lab-row")[1].dataset };
}

test("before a race there is a row per transport, without a style attribute, which the prerendered page may not have", () => {
  const { container } = show({});
  const transports = screen.getAllByTestId("lab-row").map((row) => row.dataset.transport);
  expect(transports).toEqual(["buffered", "sse-fetch", "sse-eventsource", "websocket", "page", "grpc"]);
  expect(container.querySelector("[style]")).toBeNull();
});

test("a row has its numbers when it has ended, and not before", () => {
  const numbers = { first_ms: 500, last_ms: 900, bytes: 70, words: 12, words_read: 3, speedup: 4, clock: 950 };
  const running = show({ ...numbers, state: "running" });
  expect(running.row.state).toBe("running");
  expect(running.row.firstMs).toBeUndefined();
  expect(running.container.querySelectorAll(".lab-read")).toHaveLength(1);
  running.container.remove();
  const { row } = show({ ...numbers, state: "done" });
  expect([row.firstMs, row.lastMs, row.bytes, row.wordsRead, row.speedup]).toEqual(["500", "900", "70", "3", "4"]);
});

test("why a transport is off stands in its row", () => {
  show({ state: "off", note: "Off. Set STREAMCHAT_GRPC_PORT." });
  expect(screen.getByText("Off. Set STREAMCHAT_GRPC_PORT.")).toBeTruthy();
});

test("frames of no race, or of another run, change nothing", () => {
  const race = new Race(() => 10);
  race.pageFrame(undefined);
  race.pageFrame({});
  race.pageFrame({ m: "other", s: 1, p: 0, o: 0, t: "text" } as PageFrame);
  race.grpcFrame({});
  race.grpcFrame({ m: "other", n: 1, pieces: [[1, "text"]], bytes: 4, end: true });
  expect(race.view()).toEqual(idle);
});
