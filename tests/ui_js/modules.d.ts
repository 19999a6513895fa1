declare module "commonmark-spec" {
  /** The examples of the CommonMark specification; "→" stands for a tab. */
  export const tests: { markdown: string; html: string; section: string; number: number }[];
}

// What Reflex's compiler generates.
declare module "$/utils/context" {
  import type { ReactNode } from "react";

  export const initialState: Record<string, Record<string, unknown>>;
  export function StateProvider(props: { children?: ReactNode }): ReactNode;
}

declare module "$/utils/context-registry" {
  import type { Context } from "react";

  export const DispatchContext: Context<unknown>;
}
