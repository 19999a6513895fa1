// Reflex's own state provider with one state, as the page has it.

import { act } from "@testing-library/react";
import { type ReactNode, useContext } from "react";
import { initialState, StateProvider } from "$/utils/context";
import { DispatchContext } from "$/utils/context-registry";

type Dispatchers = Record<string, (delta: Record<string, unknown>) => void>;

export class ReflexState {
  readonly name = Object.keys(initialState).find((name) => name.endsWith("____live")) ?? "";
  readonly root = this.name.split(".")[0];
  private dispatchers: Dispatchers = {};

  provide(children: ReactNode): ReactNode {
    const Catch = () => {
      this.dispatchers = useContext(DispatchContext) as Dispatchers;
      return null;
    };
    return (
      <StateProvider>
        <Catch />
        {children}
      </StateProvider>
    );
  }

  /** Changes vars of the state, as a delta from the server does. */
  set(vars: Record<string, unknown>, state = this.name): void {
    const delta = Object.fromEntries(Object.entries(vars).map(([name, value]) => [`${name}_rx_state_`, value]));
    act(() => this.dispatchers[state](delta));
  }
}
