// Shows that an answer is under way while no text arrives.

import { useEffect, useReducer, useState } from "react";
import { visit } from "../common/storage";
import { strings } from "../common/strings";
import type { MessageView } from "../store/message-parts";

const SILENT_SECONDS = 3;

export function Waiting({ view }: { view: MessageView }) {
  const [, tick] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, []);
  const empty = !view.parts.some((part) => part.type !== "text" || part.splitter.length);
  const started = useStarted(view);
  const seconds = Math.floor((Date.now() - (empty ? started : view.lastReceived)) / 1000);
  if (view.status === "waiting" || (!empty && seconds < SILENT_SECONDS)) return null;
  return (
    <div className="waiting">
      <span className="dots" aria-hidden="true">
        <i /> <i /> <i />
      </span>
      <span className="elapsed">{seconds >= SILENT_SECONDS ? strings().transcript.elapsed(seconds) : ""}</span>
    </div>
  );
}

// When this tab first saw the answer, also if it was loaded anew since.
function useStarted({ id, firstReceived }: MessageView): number {
  const name = `started.${id}`;
  const [started] = useState(() => Math.min(visit.get<number>(name) ?? firstReceived, firstReceived));
  useEffect(() => {
    visit.set(name, started);
    return () => visit.set(name, null);
  }, [name, started]);
  return started;
}
