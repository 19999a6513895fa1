// One message. Only the message that changes is rendered again.

import { memo, useEffect, useReducer, useState, useSyncExternalStore } from "react";

import { Blocks } from "./blocks.jsx";
import { CopyButton } from "./copy.jsx";
import { keepPanel, panelOpen } from "./kept.js";
import { actions, chosen, idFor, store } from "./session.js";
import { textOf } from "./store.js";
import { ToolCall } from "./tool.jsx";

const LONG = 3000;
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);

export const Message = memo(function Message({ id, last, eager }) {
  const [subscribe, snapshot] = useSubscription(id);
  const view = useSyncExternalStore(subscribe, snapshot, snapshot);
  if (!view) return null;
  const marks = { "data-testid": "message", "data-role": view.role, "data-status": view.status, "data-message-id": id };
  if (view.role === "user") {
    return (
      <article className="message user" {...marks}>
        <h2 className="sr-only">You</h2>
        <Question view={view} />
      </article>
    );
  }
  return (
    <article className="message assistant" {...marks}>
      <h2 className="sr-only">Answer</h2>
      <Answer view={view} eager={eager} />
      {view.running ? <Waiting view={view} /> : <Ending view={view} last={last} />}
    </article>
  );
});

function useSubscription(id) {
  const [pair] = useState(() => [(listener) => store.subscribe(id, listener), () => store.message(id)]);
  return pair;
}

// What a person wrote is text, never Markdown.
function Question({ view }) {
  const text = textOf(view);
  const [whole, setWhole] = useState(false);
  const long = text.length > LONG;
  return (
    <div className="question">
      {view.parts.map((part, i) => (part.type === "image" || part.type === "file" ? <Attachment key={i} part={part} /> : null))}
      {text && (
        <div className={`text ${long && !whole ? "cut" : ""}`} dir="auto">
          {text}
        </div>
      )}
      {long && (
        <button type="button" className="quiet" onClick={() => setWhole(!whole)} aria-expanded={whole}>
          {whole ? "Show less" : "Show all"}
        </button>
      )}
    </div>
  );
}

function Attachment({ part }) {
  if (part.type === "image" && PICTURES.has(part.media_type)) {
    return <img className="attached" src={`data:${part.media_type};base64,${part.data}`} alt={part.name || "Attached picture"} />;
  }
  return <span className="attached">{part.name || "Attachment"}</span>;
}

function Answer({ view, eager }) {
  const sources = view.parts.filter((part) => part.type === "source");
  const latest = view.running ? view.parts.at(-1) : null;
  const shown = view.parts.map((part) => (
    <Part key={part.index} part={part} id={view.id} eager={eager} latest={part === latest} />
  ));
  return (
    <>
      {view.parts.length ? shown : view.running && <div className="answer" data-testid="answer" />}
      {sources.length > 0 && <Sources sources={sources} />}
    </>
  );
}

const Part = memo(
  function Part({ part, id, eager, latest }) {
    switch (part.type) {
      case "text":
        return (
          <div className="answer" data-testid="answer">
            <Blocks splitter={part.splitter} open={part.open} eager={eager} />
          </div>
        );
      case "reasoning":
        return <Reasoning part={part} name={`${id}/${part.index}`} />;
      case "tool_call":
        return <ToolCall part={part} id={id} />;
      case "notice":
        // How an answer was stopped is said at its end; that it was asked again matters until it answers.
        if (part.kind === "stopped" || (part.kind === "retrying" && !latest)) return null;
        return <p className="notice">{part.text}</p>;
      case "image":
      case "file":
        return <Attachment part={part} />;
      default:
        return null;
    }
  },
  (a, b) =>
    b.part.splitter
      ? a.part.splitter === b.part.splitter && a.part.version === b.part.version
      : a.part.part === b.part.part && a.latest === b.latest,
);

function Reasoning({ part, name }) {
  const [open, setOpen] = useState(() => panelOpen(name) ?? false);
  const toggled = (event) => {
    const now = event.currentTarget.open;
    if (now === open) return;
    setOpen(now);
    keepPanel(name, now);
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

function Sources({ sources }) {
  return (
    <ul className="sources" aria-label="Sources">
      {sources.map((source, i) => (
        <li key={i}>
          <SourceLink source={source} />
        </li>
      ))}
    </ul>
  );
}

function SourceLink({ source: { url, title } }) {
  const label = title || url;
  if (!/^https?:\/\//i.test(url)) return <span>{label}</span>;
  return (
    <a href={url} target="_blank" rel="noopener noreferrer nofollow">
      {label}
    </a>
  );
}

// Nothing has come yet, or nothing for a while.
function Waiting({ view }) {
  const [, tick] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, []);
  const empty = !view.parts.some((part) => part.type !== "text" || part.splitter.length);
  const silent = Math.floor((Date.now() - (empty ? view.began : view.heard)) / 1000);
  if (view.status === "waiting" || (!empty && silent < 3)) return null;
  return (
    <div className="waiting">
      <span className="dots" aria-hidden="true">
        <i /> <i /> <i />
      </span>
      <span className="elapsed">{silent >= 3 ? `${silent} s` : ""}</span>
    </div>
  );
}

const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

// The server says why an answer is not simply complete, and what can be done.
function Ending({ view, last }) {
  const { status, why, offers = [] } = view;
  const partial = !!textOf(view).trim();
  const broken = status === "failed" || status === "interrupted";
  return (
    <>
      {why && broken && (
        <p className="error" data-testid="error" role="group">
          {why}
        </p>
      )}
      {why && !broken && <p className="notice">{why}</p>}
      <footer className="ending">
        {last && offers.includes("continue") && <Again action="continue" view={view} label="Continue" />}
        {last && offers.includes("retry") && <Again action="retry" view={view} label="Retry" />}
        {partial && <CopyButton text={() => textOf(store.message(view.id) ?? view)} label="Copy answer" />}
        <Details view={view} />
      </footer>
    </>
  );
}

// The model; behind it, whether every character that was said is on the page, and in how many pieces it came.
function Details({ view: { model, usage, verified, tally } }) {
  const [open, setOpen] = useState(false);
  return (
    <details className="model" data-testid="details" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{model || "Details"}</summary>
      {open && <Lines usage={usage} verified={verified} tally={tally} />}
    </details>
  );
}

function Lines({ usage, verified, tally }) {
  const lines = [
    verified && `verified · ${plural(tally.pieces, "delta")} · ${plural(tally.gaps, "gap")} · ${plural(tally.reconnects, "reconnect")}`,
    usage?.input != null && `${plural(usage.input, "token")} read`,
    usage?.output != null && `${plural(usage.output, "token")} written`,
  ].filter(Boolean);
  return <ul>{lines.length ? lines.map((line) => <li key={line}>{line}</li>) : <li>Loaded from what is stored.</li>}</ul>;
}

function Again({ action, view, label }) {
  const click = () => actions[action](view.id, idFor(action, view.id), chosen.get() || view.model);
  return (
    <button type="button" className="button" data-testid={action} onClick={click}>
      {label}
    </button>
  );
}
