// One message. Only the message that changes is rendered again.

import "./message.css";

import { memo, useMemo, useState, useSyncExternalStore } from "react";
import { useChat } from "../chat";
import { useFocusBack } from "../common/focus-back";
import { strings, useStrings } from "../common/strings";
import { Blocks } from "../markdown/blocks";
import { safeAddress } from "../markdown/sanitize";
import type { SourcePart } from "../store/frames";
import { type MessageView, type PartView, textOf } from "../store/message-parts";
import { ToolCall } from "../tools/tool-call";
import { Attachment } from "./attachment";
import { elementOf } from "./element-of";
import { Ending } from "./ending";
import { EditBox, isBeingEdited, QuestionActions, Versions } from "./message-actions";
import { Reasoning } from "./reasoning";
import { Waiting } from "./waiting";

const LONG = 3000; // characters from which on a question is cut

interface Props {
  id: string;
  /** Whether it is the last one of the conversation. */
  last: boolean;
  /** Whether it is rendered at once. */
  eager: boolean;
}

export const Message = memo(function Message({ id, last, eager }: Props) {
  const t = useStrings().transcript;
  const view = useMessageView(id);
  const { store } = useChat();
  const [editing, setEditing] = useState(() => !store.meta().shared && isBeingEdited(id));
  useFocusBack(editing, () => elementOf(id)?.querySelector<HTMLElement>("[data-testid=edit]"));
  if (!view) return null;
  const attributes = {
    "data-testid": "message",
    "data-role": view.role,
    "data-status": view.status,
    "data-message-id": id,
  };
  if (view.role === "user") {
    return (
      <article className="message user" {...attributes}>
        <h2 className="sr-only">{t.you}</h2>
        {editing ? (
          <EditBox view={view} onClose={() => setEditing(false)} />
        ) : (
          <>
            <Question view={view} />
            <QuestionActions view={view} onEdit={() => setEditing(true)} />
          </>
        )}
      </article>
    );
  }
  return (
    <article className="message assistant" {...attributes}>
      <h2 className="sr-only">{t.answer}</h2>
      <Answer view={view} eager={eager} />
      {view.running ? <Running view={view} /> : <Ending view={view} last={last} />}
    </article>
  );
});

function Running({ view }: { view: MessageView }) {
  return (
    <>
      <Waiting view={view} />
      {view.versions && (
        <footer className="ending">
          <Versions view={view} />
        </footer>
      )}
    </>
  );
}

function useMessageView(id: string): MessageView | undefined {
  const { store } = useChat();
  const [subscribe, snapshot] = useMemo(
    () => [(listener: () => void) => store.subscribe(id, listener), () => store.message(id)] as const,
    [store, id],
  );
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

// What a person wrote is text, never Markdown.
function Question({ view }: { view: MessageView }) {
  const t = useStrings().transcript;
  const text = textOf(view);
  const [expanded, setExpanded] = useState(false);
  const long = text.length > LONG;
  return (
    <div className="question">
      {view.parts.map((part) =>
        part.type === "image" || part.type === "file" ? <Attachment key={part.index} part={part} /> : null,
      )}
      {text && (
        <div className={`text ${long && !expanded ? "cut" : ""}`} dir="auto">
          {text}
        </div>
      )}
      {long && (
        <button type="button" className="quiet" onClick={() => setExpanded(!expanded)} aria-expanded={expanded}>
          {expanded ? t.showLess : t.showAll}
        </button>
      )}
    </div>
  );
}

/** The parts of an answer. */
export function Answer({ view, eager }: { view: MessageView; eager: boolean }) {
  const sources = view.parts.filter((part) => part.type === "source");
  const latest = view.running ? view.parts.at(-1) : null;
  const thoughts = view.parts.filter((part) => part.type === "reasoning");
  // The server measures the thinking of the whole answer.
  const thought = (thoughts.length === 1 && view.timing?.reasoning_ms) || undefined;
  const parts = view.parts.map((part) => (
    <MessagePart key={part.index} part={part} id={view.id} eager={eager} latest={part === latest} thought={thought} />
  ));
  return (
    <>
      {view.parts.length ? parts : view.running && <div className="answer" data-testid="answer" />}
      {sources.length > 0 && <Sources sources={sources} />}
    </>
  );
}

interface PartProps {
  part: PartView;
  /** The message's id. */
  id: string;
  eager: boolean;
  /** Whether it is the last part of an answer under way. */
  latest: boolean;
  /** How long the model thought, in ms. */
  thought?: number;
}

const BEFORE_AN_ANSWER: ReadonlySet<string> = new Set(["retrying", "queued"]);

const MessagePart = memo(
  function MessagePart({ part, id, eager, latest, thought }: PartProps) {
    switch (part.type) {
      case "text":
        return (
          <div className="answer" data-testid="answer">
            <Blocks splitter={part.splitter} open={part.open} eager={eager} />
          </div>
        );
      case "reasoning":
        return <Reasoning part={part} name={`${id}/${part.index}`} duration={thought} />;
      case "tool_call":
        return <ToolCall part={part} id={id} />;
      case "notice":
        // The footer says how an answer was stopped; a retry or a place in line matters only until the answer begins.
        if (part.kind === "stopped" || (BEFORE_AN_ANSWER.has(part.kind) && !latest)) return null;
        return (
          <p className="notice" data-kind={part.kind}>
            {strings().common.told(part.text)}
          </p>
        );
      case "image":
      case "file":
        return <Attachment part={part} />;
      default:
        return null;
    }
  },
  ({ part: a, latest: aLatest, thought: aThought }, { part: b, latest: bLatest, thought: bThought }) =>
    b.splitter
      ? a.splitter === b.splitter && a.version === b.version && (b.type === "text" || aThought === bThought)
      : a.part === b.part && aLatest === bLatest,
);

function Sources({ sources }: { sources: (SourcePart & { index: number })[] }) {
  const t = useStrings().transcript;
  const distinct = sources.filter(({ url }, index) => sources.findIndex((source) => source.url === url) === index);
  return (
    <section className="sources" aria-label={t.sources}>
      <h3>{t.sources}</h3>
      <ol>
        {distinct.map((source, index) => (
          <li key={source.index} data-number={index + 1} tabIndex={-1}>
            <SourceLink source={source} />
          </li>
        ))}
      </ol>
    </section>
  );
}

function SourceLink({ source: { url, title } }: { source: SourcePart }) {
  const label = title || url;
  const href = safeAddress(url, globalThis.location?.origin);
  if (!href) return <span>{label}</span>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {label}
    </a>
  );
}
