// A model's reasoning, behind a panel that is closed at first.

import "../common/panel.css";

import { type ToggleEvent, useEffect, useReducer, useRef, useState } from "react";
import { panelStorage } from "../common/storage";
import { type Strings, useStrings } from "../common/strings";
import { Blocks } from "../markdown/blocks";
import type { TextView } from "../store/message-parts";

interface Props {
  part: TextView;
  /** Under which the panel's state is remembered. */
  name: string;
  /** How long it took, in ms, if the server measured it. */
  duration?: number;
}

export function Reasoning({ part, name, duration }: Props) {
  const t = useStrings().transcript;
  const [open, setOpen] = useState(() => panelStorage.get(name) ?? false);
  const seconds = useSeconds(part.open);
  const toggled = (event: ToggleEvent<HTMLDetailsElement>) => {
    const now = event.currentTarget.open;
    if (now === open) return;
    setOpen(now);
  };
  return (
    <details className="panel reasoning" open={open} onToggle={toggled}>
      {/* Only a press is a choice: the browser's search opens a panel too. */}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a summary is a button */}
      <summary onClick={() => panelStorage.set(name, !open)}>
        {part.open ? (
          <span className="busy">{seconds ? t.thinkingFor(seconds) : t.thinking}</span>
        ) : (
          <span>{describe(duration === undefined ? seconds : Math.round(duration / 1000), t)}</span>
        )}
      </summary>
      {/* What is complete is there for the browser's search, also while the panel is closed. */}
      <div className="panel-body">
        {(open || !part.open) && <Blocks splitter={part.splitter} open={part.open} eager={open} />}
      </div>
    </details>
  );
}

function describe(seconds: number, t: Strings["transcript"]): string {
  return seconds ? t.thoughtFor(Math.floor(seconds / 60), seconds % 60) : t.thought;
}

// Whole seconds for which it has been running on this page, or ran.
function useSeconds(running: boolean): number {
  const [, tick] = useReducer((n: number) => n + 1, 0);
  const times = useRef({ started: 0, seconds: 0 });
  const { current } = times;
  if (running) {
    current.started ||= Date.now();
    current.seconds = Math.floor((Date.now() - current.started) / 1000);
  }
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, [running]);
  return current.seconds;
}
