// A tool call: its name and state while it runs, its arguments once they are whole, its result.
// Arguments and results are data: they are shown as text.

import { useState } from "react";

import { keepPanel, panelOpen } from "./kept.js";

const LABELS = {
  receiving: "preparing",
  ready: "ready",
  "awaiting-approval": "waits for your approval",
  running: "running",
  done: "done",
  error: "failed",
  timeout: "timed out",
  denied: "denied",
  invalid: "invalid arguments",
  stopped: "stopped",
  unknown: "unknown",
};
const BUSY = new Set(["receiving", "ready", "running"]);
const LONG = 2000;

export function ToolCall({ part, name }) {
  const [open, setOpen] = useState(() => panelOpen(name) ?? false);
  const toggled = (event) => {
    const now = event.currentTarget.open;
    if (now === open) return;
    setOpen(now);
    keepPanel(name, now);
  };
  return (
    <details
      className="panel tool"
      data-testid="tool-panel"
      data-state={part.state}
      data-call-id={part.id}
      open={open}
      onToggle={toggled}
    >
      <summary>
        <span className="tool-name">{part.name}</span>
        <span className={`state ${BUSY.has(part.state) ? "busy" : ""}`}>{LABELS[part.state] ?? part.state}</span>
      </summary>
      <div className="panel-body">
        {part.arguments && <Fields fields={part.arguments} />}
        {part.progress?.length > 0 && <p className="notice">{part.progress.at(-1)}</p>}
        {part.error && <p className="tool-error">{part.error}</p>}
        {part.result !== undefined && part.result !== null && <Result value={part.result} />}
      </div>
    </details>
  );
}

function Fields({ fields }) {
  const names = Object.keys(fields);
  if (!names.length) return <p className="notice">No arguments</p>;
  return (
    <dl>
      {names.map((field) => (
        <div key={field}>
          <dt>{field}</dt>
          <dd>{written(fields[field])}</dd>
        </div>
      ))}
    </dl>
  );
}

function Result({ value }) {
  const [whole, setWhole] = useState(false);
  const text = written(value);
  const long = text.length > LONG;
  return (
    <>
      <pre tabIndex={0}>{long && !whole ? `${text.slice(0, LONG)}…` : text}</pre>
      {long && (
        <button type="button" className="quiet" aria-expanded={whole} onClick={() => setWhole(!whole)}>
          {whole ? "Show less" : "Show all"}
        </button>
      )}
    </>
  );
}

function written(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
