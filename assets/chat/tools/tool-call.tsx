// A tool call: its name and state from its first moment, its arguments once they parse, its progress, its result.
//
// Names, arguments and results are data of strangers: they are shown as text. No JSON is shown before it parsed.

import "../common/panel.css";
// Lists and tables in a panel look as they do in an answer.
import "../markdown/markdown.css";
import "./tools.css";

import { Ban, Check, CircleQuestionMark, Clock, type LucideIcon, Pause, Square, X } from "lucide-react";
import { type ReactNode, type ToggleEvent, useLayoutEffect, useRef, useState } from "react";
import { ErrorBoundary } from "../common/error-boundary";
import { panelStorage } from "../common/storage";
import { useStrings } from "../common/strings";
import type { ToolState } from "../store/frames";
import type { ToolCallView } from "../store/message-parts";
import { Approval } from "./approval";
import { Fields } from "./fields";
import { Folded, Result } from "./result";
import { clip, formatCell, formatDuration, formatJson, isObject, isScalar } from "./values";

// States that are shown as progress have no icon.
const ICONS: Partial<Record<ToolState, LucideIcon>> = {
  done: Check,
  error: X,
  invalid: X,
  denied: Ban,
  timeout: Clock,
  stopped: Square,
  unknown: CircleQuestionMark,
  "awaiting-approval": Pause,
};

const KEY_CHARACTERS = 80; // of the argument that the line of a folded call shows
const FOLDED = 400; // characters of arguments that are shown beside a drawn result

interface Props {
  part: ToolCallView;
  /** The message's id, which is the run's. */
  id: string;
}

export function ToolCall({ part, id }: Props) {
  const t = useStrings().tools;
  const asking = part.state === "awaiting-approval";
  return (
    <Panel part={part} name={`${id}/${part.index}${asking ? "?" : ""}`}>
      <ErrorBoundary text={t.cannotBeShown}>
        {asking ? <Approval part={part} runId={id} /> : <Arguments part={part} />}
        {part.progress && part.progress.length > 0 && <Progress lines={part.progress} />}
        <Outcome part={part} />
      </ErrorBoundary>
    </Panel>
  );
}

interface PanelProps {
  part: ToolCallView;
  /** Under which the panel's state is remembered. */
  name: string;
  children: ReactNode;
}

// Open until the reader closes it, or until it is done: then it is one line, unless its result is something to look at.
// One that asks for a decision opens once more.
function Panel({ part, name, children }: PanelProps) {
  const t = useStrings().tools;
  const [choice, setChoice] = useState(() => ({ name, open: panelStorage.get(name) }));
  if (choice.name !== name) setChoice({ name, open: panelStorage.get(name) });
  const open = choice.open ?? !(part.state === "done" && !isDrawn(part));
  const element = useRef<HTMLDetailsElement>(null);
  // The browser toggles by itself, and reports it later.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another name is another panel
  useLayoutEffect(() => {
    if (element.current) element.current.open = open;
  }, [name, open]);
  const toggled = (event: ToggleEvent<HTMLDetailsElement>) => {
    const now = event.currentTarget.open;
    if (now === open) return;
    setChoice({ name, open: now });
  };
  const duration = formatDuration(part.duration_ms);
  return (
    <details
      className="panel tool"
      data-testid="tool-panel"
      data-state={part.state}
      data-call-id={part.id}
      open={open}
      onToggle={toggled}
      ref={element}
    >
      {/* Only a press is a choice: the browser's search opens a panel too. */}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a summary is a button */}
      <summary onClick={() => panelStorage.set(name, !open)}>
        <StateIcon state={part.state} />
        <bdi className="tool-name">{clip(part.name, 200)}</bdi>
        {!open && <KeyArgument part={part} />}
        {part.server && <bdi className="tool-server">{clip(part.server, 60)}</bdi>}
        <span className="state">
          {part.state === "done" && !open ? (
            <span className="sr-only">{t.states.done}</span>
          ) : (
            (t.states[part.state] ?? part.state)
          )}
          {duration && <span className="duration">{` · ${duration}`}</span>}
        </span>
      </summary>
      {/* Also while it is closed: what was typed into a form is not discarded, and the browser's search finds it. */}
      <div className="panel-body">{children}</div>
    </details>
  );
}

// Whether its result is drawn: a plot, a table, a picture.
function isDrawn({ result }: ToolCallView): boolean {
  return isObject(result) && typeof result.$view === "string";
}

// The first argument that fits into the line.
function KeyArgument({ part }: { part: ToolCallView }) {
  const values = Object.values(part.arguments ?? part.fields ?? {});
  const value = values.find((value) => value !== null && value !== "" && isScalar(value));
  if (value === undefined) return null;
  return <bdi className="key-argument">{clip(formatCell(value), KEY_CHARACTERS)}</bdi>;
}

function Arguments({ part }: { part: ToolCallView }) {
  const fields = part.arguments ?? part.fields;
  if (!fields) return null;
  // A plot or a table shows what it was made from.
  if (!isDrawn(part)) return <Fields fields={fields} />;
  return (
    <Folded size={formatJson(fields).length} limit={FOLDED} what="arguments">
      {() => <Fields fields={fields} />}
    </Folded>
  );
}

function Progress({ lines }: { lines: string[] }) {
  return (
    <ul className="progress">
      {lines.map((line, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other identity
        <li key={i} dir="auto">
          {line}
        </li>
      ))}
    </ul>
  );
}

function Outcome({ part }: { part: ToolCallView }) {
  const { tools: t, common } = useStrings();
  const explanations: Partial<Record<ToolState, string>> = { unknown: t.unknownExplained, denied: t.deniedExplained };
  const error = part.error ? common.told(part.error) : explanations[part.state];
  return (
    <>
      {error && (
        <p className="tool-error" dir="auto">
          {clip(error, 4000)}
        </p>
      )}
      {part.result !== undefined && part.result !== null && <Result result={part.result} tool={clip(part.name, 200)} />}
    </>
  );
}

function StateIcon({ state }: { state: ToolState }) {
  const Icon = ICONS[state];
  return Icon ? <Icon className="mark" size={16} /> : <span className="mark busy" aria-hidden="true" />;
}
