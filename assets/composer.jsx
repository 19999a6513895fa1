// Where messages are written. The text lives in the textarea, not in React: typing renders nothing.

import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useLocation } from "react-router";

import { Draft } from "./draft.js";
import { ModelPicker } from "./picker.jsx";
import { newId, Outbox, TOO_LONG } from "./outbox.js";
import { chosen, follow, store, submitting } from "./session.js";

// Safari ends a composition before the Enter that ended it arrives.
const COMPOSITION_MS = 60;

export function Composer({ models, defaultModel, onSend, onStop }) {
  const area = useRef(null);
  const form = useRef(null);
  const [said, say] = useState("");
  const [sending, setSending] = useState(false);
  const answering = useSyncExternalStore(subscribeMeta, isAnswering, () => false);
  const outbox = useOutbox(onSend);
  const draft = useDraft(area, form, outbox, () => setSending(false));

  const submit = useCallback(
    (text, model) => {
      if (store.meta().answering) return;
      const outcome = outbox.submit(text, model || chosen.get());
      if (outcome === "empty" || outcome === "busy") return;
      say(outcome === "long" ? TOO_LONG : "");
      if (outcome === "long") return;
      setSending(true);
      draft.save();
      follow.arm();
    },
    [outbox, draft],
  );
  useEffect(() => {
    submitting.set(submit);
    return () => submitting.set(null);
  }, [submit]);
  useEffect(
    () =>
      store.onFrame((frame) => {
        if (frame.k === "open") outbox.again();
        if (frame.k === "sent") {
          const text = outbox.accepted(frame.client_id);
          if (text === null) return draft.sentElsewhere(frame.client_id);
          setSending(false);
          draft.sent(text);
        }
        if (frame.k === "say") {
          say(frame.text);
          if (outbox.refused(frame.client_id)) setSending(false);
        }
      }),
    [outbox, draft],
  );
  useEscape(answering, onStop);

  return (
    <form
      className="composer"
      ref={form}
      data-empty="true"
      onSubmit={(event) => {
        event.preventDefault();
        submit(area.current.value);
      }}
    >
      {said && <Said text={said} dismiss={() => say("")} />}
      <div className="box">
        <textarea
          ref={area}
          data-testid="composer"
          rows={1}
          placeholder="Ask anything"
          aria-label="Message"
          enterKeyHint="send"
          autoComplete="off"
          onInput={draft.typed}
          onCompositionEnd={(event) => (event.currentTarget.composed = performance.now())}
          onKeyDown={(event) => {
            if (!sends(event)) return;
            event.preventDefault();
            submit(event.currentTarget.value);
          }}
        />
        <div className="bar">
          <ModelPicker models={models} defaultModel={defaultModel} />
          <SendOrStop answering={answering} sending={sending} onStop={onStop} />
        </div>
      </div>
    </form>
  );
}

// One button that changes its meaning, so that it keeps the focus.
function SendOrStop({ answering, sending, onStop }) {
  if (!answering) {
    return (
      <button type="submit" className="round" data-testid="send" aria-label="Send" title="Send (Enter)" data-busy={sending}>
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.8">
          <path d="M8 13V3.4M3.8 7.4 8 3.2l4.2 4.2" strokeLinecap="round" strokeLinejoin="round" />
        </svg>
      </button>
    );
  }
  const stop = (event) => {
    // The second click of a double click on Send is no Stop.
    if (event.detail < 2) onStop();
  };
  return (
    <button type="button" className="round" data-testid="stop" aria-label="Stop" title="Stop (Esc)" onClick={stop}>
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <rect x="3.5" y="3.5" width="9" height="9" rx="2" fill="currentColor" />
      </svg>
    </button>
  );
}

function Said({ text, dismiss }) {
  return (
    <div className="said">
      <p>{text}</p>
      <button type="button" className="quiet" onClick={dismiss} aria-label="Dismiss">
        <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.6">
          <path d="m4 4 8 8m0-8-8 8" strokeLinecap="round" />
        </svg>
      </button>
    </div>
  );
}

// Enter sends, unless it breaks a line or ends a composition (of Chinese, Japanese, Korean …).
function sends(event) {
  if (event.key !== "Enter" || event.shiftKey || event.altKey) return false;
  const { isComposing, keyCode } = event.nativeEvent;
  if (isComposing || keyCode === 229) return false;
  return !(performance.now() - (event.currentTarget.composed ?? -Infinity) < COMPOSITION_MS);
}

const subscribeMeta = store.subscribe.bind(null, "meta");
const isAnswering = () => store.meta().answering;

function useOutbox(onSend) {
  const send = useRef(onSend);
  useEffect(() => {
    send.current = onSend;
  });
  const [outbox] = useState(() => new Outbox({ newId, send: (...args) => send.current(...args) }));
  return outbox;
}

// The draft of each conversation, kept in the browser.
function useDraft(area, form, outbox, onLeft) {
  const { pathname } = useLocation();
  const [draft] = useState(() => new Draft(area, form, outbox, onLeft));
  useEffect(() => draft.at(pathname), [draft, pathname]);
  useEffect(() => {
    const save = () => draft.save();
    addEventListener("pagehide", save);
    return () => {
      removeEventListener("pagehide", save);
      save();
    };
  }, [draft]);
  return draft;
}

function useEscape(answering, onStop) {
  const stop = useRef(onStop);
  useEffect(() => {
    stop.current = onStop;
  });
  useEffect(() => {
    if (!answering) return;
    const pressed = (event) => {
      if (event.key === "Escape" && !event.defaultPrevented && !event.isComposing) stop.current();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [answering]);
}
