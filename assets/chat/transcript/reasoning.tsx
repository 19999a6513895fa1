// A model's reasoning, behind a panel that is closed at first.

import "../common/panel.css";

import { type ToggleEvent, useState } from "react";
import { panelStorage } from "../common/storage";
import { Blocks } from "../markdown/blocks";
import type { TextView } from "../store/message-parts";

interface Props {
  part: TextView;
  /** Under which the panel's state is remembered. */
  name: string;
}

export function Reasoning({ part, name }: Props) {
  const [open, setOpen] = useState(() => panelStorage.get(name) ?? false);
  const toggled = (event: ToggleEvent<HTMLDetailsElement>) => {
    const now = event.currentTarget.open;
    if (now === open) return;
    setOpen(now);
    panelStorage.set(name, now);
  };
  return (
    <details className="panel reasoning" open={open} onToggle={toggled}>
      <summary>
        <span className={part.open ? "busy" : ""}>{part.open ? "Thinking…" : "Thought"}</span>
      </summary>
      <div className="panel-body">{open && <Blocks splitter={part.splitter} open={part.open} />}</div>
    </details>
  );
}
