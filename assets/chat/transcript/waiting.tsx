// Shows that an answer is under way while no text arrives.

import { useEffect, useReducer } from "react";
import type { MessageView } from "../store/message-parts";

const SILENT_SECONDS = 3;

export function Waiting({ view }: { view: MessageView }) {
  const [, tick] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, []);
  const empty = !view.parts.some((part) => part.type !== "text" || part.splitter.length);
  const seconds = Math.floor((Date.now() - (empty ? view.firstReceived : view.lastReceived)) / 1000);
  if (view.status === "waiting" || (!empty && seconds < SILENT_SECONDS)) return null;
  return (
    <div className="waiting">
      <span className="dots" aria-hidden="true">
        <i /> <i /> <i />
      </span>
      <span className="elapsed">{seconds >= SILENT_SECONDS ? `${seconds} s` : ""}</span>
    </div>
  );
}
