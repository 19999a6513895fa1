// An answer in a React component: a few lines over streamchat-client.js.
//
//   const { text, status, error, ask, stop } = useRun();
//
// A component that goes away stops reading, not the run: `follow(id)` reads it again, here or elsewhere.

import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import { Streamchat } from "./streamchat-client.js";

const NOTHING = { id: undefined, conversationId: undefined, text: "", status: "idle", error: undefined };

/**
 * `status`: idle, streaming, waiting (for an approval), or how it ended.
 * @param {string | Streamchat} [server] its address, or a client, which may have headers
 */
export function useRun(server = "") {
  const client = useMemo(() => (typeof server === "string" ? new Streamchat({ url: server }) : server), [server]);
  const [view, setView] = useState(NOTHING);
  const current = useRef(undefined);

  const read = useCallback(async (open) => {
    current.current?.abort();
    const reading = (current.current = new AbortController());
    const show = (more) => reading === current.current && setView((view) => ({ ...view, ...more }));
    show({ ...NOTHING, status: "streaming" });
    try {
      const run = await open(reading.signal);
      show({ id: run.id, conversationId: run.conversationId });
      for await (const { type, message } of run) {
        show({ text: run.text, status: message?.status ?? (type === "waiting" ? type : "streaming") });
      }
      show({ status: run.ending.type, error: run.ending.message });
    } catch (error) {
      show({ status: "failed", error: error.message });
    }
  }, []);
  useEffect(() => () => current.current?.abort(), []);

  return {
    ...view,
    ask: (message, how = {}) => read((signal) => client.start(message, { ...how, signal })),
    follow: (id) => read(async (signal) => client.follow(id, { signal })),
    stop: () => view.id && client.stop(view.id),
  };
}
