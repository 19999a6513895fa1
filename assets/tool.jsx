// A tool call: its name and state from its first moment, its arguments once they parse, its progress, its result.
//
// Names, arguments and results are data of strangers: they are shown as text. No JSON is shown before it parsed.

import { useLayoutEffect, useRef, useState } from "react";

import { Guard } from "./guard.jsx";
import { keepPanel, panelOpen } from "./kept.js";
import { Approval } from "./tool-approval.jsx";
import { Fields } from "./tool-fields.jsx";
import { Folded, Result } from "./tool-result.jsx";
import { clip, durationWords, isObject, written } from "./tool-views.js";
import "./tool.css";

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
  unknown: "may have run",
};
const SENTENCES = { unknown: "The server stopped while this ran: it may have had its effect, or not.", denied: "You denied this." };

const DRAWN = 400; // characters of arguments that are shown beside a picture of them

export function ToolCall({ part, id }) {
  const asking = part.state === "awaiting-approval";
  const name = clip(part.name, 200);
  return (
    <Panel part={part} name={`${id}/${part.index}${asking ? "?" : ""}`}>
      <Guard text="This tool call cannot be shown.">
        {asking ? <Approval part={part} run={id} /> : <Arguments part={part} />}
        {part.progress?.length > 0 && <Progress lines={part.progress} />}
        <Outcome part={part} name={name} />
      </Guard>
    </Panel>
  );
}

// Open until the reader closes it; one that asks for a decision opens once more.
function Panel({ part, name, children }) {
  const [choice, choose] = useState(() => ({ name, open: panelOpen(name) }));
  if (choice.name !== name) choose({ name, open: panelOpen(name) });
  const open = choice.open ?? true;
  const element = useRef(null);
  // The browser toggles by itself, and says so later.
  useLayoutEffect(() => {
    element.current.open = open;
  }, [name, open]);
  const toggled = (event) => {
    const now = event.currentTarget.open;
    if (now === open) return;
    keepPanel(name, now);
    choose({ name, open: now });
  };
  const took = durationWords(part.duration_ms);
  return (
    <details className="panel tool" data-testid="tool-panel" data-state={part.state} data-call-id={part.id} open={open} onToggle={toggled} ref={element}>
      <summary>
        <Mark state={part.state} />
        <bdi className="tool-name">{clip(part.name, 200)}</bdi>
        {part.server && <bdi className="tool-server">{clip(part.server, 60)}</bdi>}
        <span className="state">
          {LABELS[part.state] ?? part.state}
          {took && <span className="duration"> · {took}</span>}
        </span>
      </summary>
      {/* What was typed into a form is not thrown away with a click. */}
      {(open || part.state === "awaiting-approval") && <div className="panel-body">{children}</div>}
    </details>
  );
}

function Arguments({ part }) {
  const fields = part.arguments ?? part.fields;
  if (!fields) return null;
  // A plot or a table shows what it was made from.
  const drawn = isObject(part.result) && typeof part.result.$view === "string";
  if (!drawn) return <Fields fields={fields} />;
  return (
    <Folded size={written(fields).length} limit={DRAWN} what="arguments">
      {() => <Fields fields={fields} />}
    </Folded>
  );
}

function Progress({ lines }) {
  return (
    <ul className="progress">
      {lines.map((line, i) => (
        <li key={i} dir="auto">
          {line}
        </li>
      ))}
    </ul>
  );
}

function Outcome({ part, name }) {
  const error = part.error ?? SENTENCES[part.state];
  return (
    <>
      {error && (
        <p className="tool-error" dir="auto">
          {clip(error, 4000)}
        </p>
      )}
      {part.result !== undefined && part.result !== null && <Result result={part.result} tool={name} />}
    </>
  );
}

const PATHS = {
  done: "m3.5 8.5 3 3 6-7",
  error: "m4.5 4.5 7 7m0-7-7 7",
  invalid: "m4.5 4.5 7 7m0-7-7 7",
  denied: "M2.5 8a5.5 5.5 0 1 0 11 0 5.5 5.5 0 0 0-11 0m1.7-4 7.6 8",
  timeout: "M2.5 8a5.5 5.5 0 1 0 11 0 5.5 5.5 0 0 0-11 0M8 4.8V8l2.2 1.6",
  stopped: "M4.5 4.5h7v7h-7z",
  unknown: "M5.8 6.2A2.2 2.2 0 1 1 8 8.6v1M8 12v.2",
  "awaiting-approval": "M6 4v8m4-8v8",
};

function Mark({ state }) {
  return PATHS[state] ? (
    <svg className="mark" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.7">
      <path d={PATHS[state]} strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  ) : (
    <span className="mark busy" aria-hidden="true" />
  );
}
