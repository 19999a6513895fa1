// The contract with Reflex: what `assets/chat/common/reflex.ts` relies on, checked against the Reflex that is installed.
// Each failure says which part changed; docs/decisions/2026-11-29-front-end-in-typescript.md says what to do.

import { expect, mock, test } from "bun:test";
import { useContext } from "react";
import * as context from "$/utils/context";
import * as registry from "$/utils/context-registry";
import { useColorMode, useConnectionLost, useStateVar } from "../../assets/chat/common/reflex";
import { act, renderChat, waitFor } from "./dom";
import { ReflexState } from "./reflex-state";

function promise(kept: boolean, sentence: string): void {
  if (!kept) throw new Error(`Reflex changed: ${sentence} See assets/chat/common/reflex.ts.`);
}

test("the registry has the three contexts", () => {
  const { ColorModeContext, EventLoopContext, StateStoreContext } = registry;
  for (const [name, value] of Object.entries({ ColorModeContext, EventLoopContext, StateStoreContext })) {
    promise(value !== undefined && "Provider" in value, `$/utils/context-registry has no ${name} any more.`);
  }
});

test("the colour mode's context says which theme is shown, and switches it", () => {
  const Probe = () => {
    const value = useContext(registry.ColorModeContext);
    promise(typeof value.resolvedColorMode === "string", "ColorModeContext has no resolvedColorMode.");
    promise(typeof value.rawColorMode === "string", "ColorModeContext has no rawColorMode.");
    promise(typeof value.setColorMode === "function", "ColorModeContext has no setColorMode.");
    return useColorMode().mode;
  };
  expect(renderChat(<Probe />).container.textContent).toBe("light");
});

test("the event loop's context is a pair whose second member are the errors of the connection", async () => {
  const source = await Bun.file(`${import.meta.dir}/../../node_modules/.cache/reflex/utils/context.js`).text();
  const provided = /EventLoopContext\.Provider,\s*\{ value: \[addEventsLocal, connectErrors\] \}/.test(source);
  promise(provided, "EventLoopContext does not provide [addEvents, connectErrors] any more.");
  const Probe = () => String(useConnectionLost());
  const lost = (errors: unknown[]) => (
    <registry.EventLoopContext.Provider value={[null, errors]}>
      <Probe />
    </registry.EventLoopContext.Provider>
  );
  const { container, replace } = renderChat(lost([]));
  expect(container.textContent).toBe("false");
  replace(lost([new Error("refused")]));
  expect(container.textContent).toBe("true");
});

test("the socket tells its instrumentation of every change, and is opened again by sending nothing", async () => {
  const source = await Bun.file(`${import.meta.dir}/../../node_modules/.cache/reflex/utils/state.js`).text();
  for (const hook of ["onSocketConnect?.()", "onSocketDisconnect?.(reason)"]) {
    promise(source.includes(`window.__reflex_otel?.${hook}`), `window.__reflex_otel has no ${hook} any more.`);
  }
  const opens =
    /addEvents = useCallback\([^;]*;[^;]*;\s*if \(!event_actions\?\.temporal\) \{[^}]*ensureSocketConnected\(\)/;
  promise(opens.test(source), "addEvents does not open a socket that is closed any more.");
  const closes = source.includes('addEventListener("beforeunload", disconnectTrigger)');
  const still = source.includes('addEventListener("pagehide", pagehideHandler)');
  promise(closes && still, "the socket is not closed at beforeunload and pagehide any more.");

  const addEvents = mock((_: unknown[]) => {});
  const Probe = () => String(useConnectionLost());
  const { container } = renderChat(
    <registry.EventLoopContext.Provider value={[addEvents, []]}>
      <Probe />
    </registry.EventLoopContext.Provider>,
  );
  const { __reflex_otel: told } = window as unknown as { __reflex_otel: Record<string, (reason?: string) => void> };
  expect(container.textContent).toBe("false");
  act(() => told.onSocketDisconnect("io client disconnect"));
  expect(container.textContent).toBe("true");
  await waitFor(() => expect(addEvents.mock.calls[0]).toEqual([[]]), { timeout: 10_000 });
  act(() => told.onSocketConnect());
  expect(container.textContent).toBe("false");
});

test("a load that is only about to happen does not close the socket", () => {
  const closed = mock(() => {});
  addEventListener("beforeunload", closed);
  dispatchEvent(new Event("beforeunload"));
  expect(closed).not.toHaveBeenCalled();
  removeEventListener("beforeunload", closed);
});

test("states are found by their full name, and vars by their name and the suffix", () => {
  const { name, root } = new ReflexState();
  promise(name !== "", "the initial state does not have states by their full Python name.");
  promise("f_rx_state_" in context.initialState[name], 'the names of vars do not end with "_rx_state_" any more.');
  promise("is_hydrated_rx_state_" in context.initialState[root], 'the root state has no "is_hydrated" any more.');
});

test("every change of a var arrives at once, in order, and none causes a render; an equal value is no change", () => {
  const reflex = new ReflexState();
  const seen: unknown[] = [];
  let renders = 0;
  const Probe = () => {
    renders += 1;
    useStateVar(reflex.name, "f", (value, hydrated) => seen.push([value, hydrated]));
    return null;
  };
  renderChat(reflex.provide(<Probe />));
  const before = renders;
  for (const n of [1, 2, 2]) reflex.set({ f: { n } });
  reflex.set({ is_hydrated: true }, reflex.root);
  reflex.set({ f: { n: 3 } });
  const values = [
    [{}, false],
    [{ n: 1 }, false],
    [{ n: 2 }, false],
    [{ n: 3 }, true],
  ];
  const same = JSON.stringify(seen) === JSON.stringify(values);
  promise(same, `StateStoreContext's subscribe and getSnapshot gave ${JSON.stringify(seen)}.`);
  expect(renders).toBe(before);
});
