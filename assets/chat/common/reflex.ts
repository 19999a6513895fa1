// Everything of Reflex that the page uses and that is not Reflex's public API.
//
// Reflex has no public way to read a state var without rendering, or to learn that the socket is down. All of it is in
// this module, so that an upgrade of Reflex has one place to look at; `tests/ui_js/reflex.test.tsx` checks each item
// against the Reflex that is installed.

import { useContext, useEffect } from "react";
import { ColorModeContext, EventLoopContext, StateStoreContext } from "$/utils/context-registry";

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

/** Whether the socket to the server is down. */
export function useConnectionLost(): boolean {
  const [, errors] = useContext(EventLoopContext) ?? [null, []];
  return errors.length > 0;
}

/** The colour theme that is shown, and how to switch it. */
export function useColorMode(): { mode: string; toggle: () => void } {
  const { resolvedColorMode, toggleColorMode } = useContext(ColorModeContext);
  return { mode: resolvedColorMode, toggle: toggleColorMode };
}
