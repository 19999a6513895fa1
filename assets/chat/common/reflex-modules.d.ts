// The parts of Reflex's front end that `reflex.ts` uses, as far as it uses them.

declare module "$/utils/context-registry" {
  import type { Context } from "react";

  type Mode = "light" | "dark" | "system";
  export const ColorModeContext: Context<{
    resolvedColorMode: string;
    rawColorMode: Mode;
    setColorMode: (mode: Mode) => void;
  }>;

  /** How events are sent, and the errors of the connection: none while it is up. */
  export const EventLoopContext: Context<[((events: unknown[]) => unknown) | null, unknown[]] | null>;

  /** The browser's copy of the tab's states, by their full Python names. */
  export const StateStoreContext: Context<{
    subscribe: (state: string, listener: () => void) => () => void;
    getSnapshot: (state: string) => Record<string, unknown> | undefined;
  } | null>;
}

declare module "*.css";

// A file that the bundler copies: its address.
declare module "*?url" {
  const address: string;
  export default address;
}
