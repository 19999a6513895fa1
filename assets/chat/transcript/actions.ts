// What a person can do within the transcript, as its messages call it.

import { createContext, useContext } from "react";

export interface Decision {
  approve: boolean;
  /** The arguments if they were edited, else `null`. */
  arguments: unknown;
  /** Told to the model. */
  reason: string;
  /** Whether the tool needs no approval in this conversation any more. */
  always: boolean;
}

export interface Actions {
  retry: (messageId: string, clientId: string, model: string) => void;
  continue: (messageId: string, clientId: string, model: string) => void;
  decide: (runId: string, callId: string, decision: Decision) => void;
}

const ActionsContext = createContext<Actions | null>(null);

export const ActionsProvider = ActionsContext.Provider;

export function useActions(): Actions {
  const actions = useContext(ActionsContext);
  if (!actions) throw new Error("a message is rendered outside of the transcript");
  return actions;
}
