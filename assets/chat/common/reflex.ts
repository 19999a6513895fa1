// Everything of Reflex that the page uses and that is not Reflex's public API.
//
// Reflex has no public way to read a state var without rendering, or to learn that the socket is down. All of it is in
// this module, so that an upgrade of Reflex has one place to look at; `tests/ui_js/reflex.test.tsx` checks each item
// against the Reflex that is installed.

import { useContext, useEffect } from "react";
import { ColorModeContext, EventLoopContext, StateStoreContext } from "$/utils/context-registry";
import { SharedValue, useShared } from "./shared-value";

// The compiler appends this to the name of every state var.
const SUFFIX = "_rx_state_";
const IS_HYDRATED = `is_hydrated${SUFFIX}`;

/**
 * Reads one var of a Reflex state around React's rendering: no value is skipped, and none causes a render.
 *
 * `onChange` gets the current value at once and every later one, and whether the tab's state is hydrated: after a
 * (re)connect the last value comes again before it is.
 */
export function useStateVar<Value>(
  state: string,
  name: string,
  onChange: (value: Value | undefined, hydrated: boolean) => void,
): void {
  const states = useContext(StateStoreContext);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `onChange` is taken once per subscription
  useEffect(() => {
    if (!states) return;
    const root = state.split(".")[0];
    const read = () => {
      const value = states.getSnapshot(state)?.[name + SUFFIX] as Value | undefined;
      onChange(value, states.getSnapshot(root)?.[IS_HYDRATED] === true);
    };
    const unsubscribe = states.subscribe(state, read);
    read();
    return unsubscribe;
  }, [states, state, name]);
}

const REOPEN_MS = 1000;

// Whether the socket was open and is not any more. Reflex has a list of errors, which stays empty if the socket was
// closed on purpose, but tells its instrumentation of every change.
const socketGone = new SharedValue(false);

interface Instrumentation {
  onSocketConnect?: () => void;
  onSocketDisconnect?: (reason: string) => void;
}

function observeSocket(page: Window & { __reflex_otel?: Instrumentation }): void {
  const { onSocketConnect, onSocketDisconnect } = page.__reflex_otel ?? {};
  page.__reflex_otel = {
    ...page.__reflex_otel,
    onSocketConnect: () => {
      socketGone.set(false);
      onSocketConnect?.();
    },
    onSocketDisconnect: (reason) => {
      socketGone.set(true);
      onSocketDisconnect?.(reason);
    },
  };
  // Reflex closes its socket as soon as another page is about to be loaded, which may be cancelled or turn out to be a
  // file: it also closes it when this page really goes.
  page.addEventListener("beforeunload", (event) => event.stopImmediatePropagation(), { capture: true });
}

if (typeof window !== "undefined") observeSocket(window);

/** Whether the socket to the server is down. One that Reflex does not open again by itself is opened again. */
export function useConnectionLost(): boolean {
  const [addEvents, errors] = useContext(EventLoopContext) ?? [null, []];
  const gone = useShared(socketGone);
  const lost = errors.length > 0 || gone;
  useEffect(() => {
    if (!lost) return;
    // To send no events at all opens the socket if it is closed and not about to be opened.
    const timer = setInterval(() => addEvents?.([]), REOPEN_MS);
    return () => clearInterval(timer);
  }, [lost, addEvents]);
  return lost;
}

export type ColorMode = "light" | "dark" | "system";

/** The colour theme that is shown, the one that was chosen, and how to choose another one, which the browser keeps. */
export function useColorMode(): { mode: string; choice: ColorMode; choose: (mode: ColorMode) => void } {
  const { resolvedColorMode, rawColorMode, setColorMode } = useContext(ColorModeContext);
  return { mode: resolvedColorMode, choice: rawColorMode, choose: setColorMode };
}
