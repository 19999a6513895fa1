// Where messages are written. The text lives in the textarea, not in React: typing renders nothing.

import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useLocation } from "react-router";

import { keep, kept } from "./kept.js";
import { ModelPicker } from "./picker.jsx";
import { newId, Outbox, remainder, TOO_LONG } from "./outbox.js";
import { chosen, follow, store, submitting, typed } from "./session.js";

const KEEP_AFTER_MS = 300;
// A message that was sent from the empty page moves to its own address: what was typed meanwhile goes along.
const MOVES_WITHIN_MS = 10_000;
// Safari ends a composition before the Enter that ended it arrives.
const COMPOSITION_MS = 60;

export function Composer({ models, defaultModel, onSend, onStop }) {
  const area = useRef(null);
  const form = useRef(null);
  const [said, say] = useState("");
  const [sending, setSending] = useState(false);
  const answering = useSyncExternalStore(subscribeMeta, isAnswering, () => false);
  const outbox = useOutbox(onSend);
  const draft = useDraft(area, form, outbox);

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
          if (text === null) return;
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
          {answering ? (
            <button type="button" className="round" data-testid="stop" aria-label="Stop" title="Stop (Esc)" onClick={onStop}>
              <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
                <rect x="3.5" y="3.5" width="9" height="9" rx="2" fill="currentColor" />
              </svg>
            </button>
          ) : (
            <button type="submit" className="round" data-testid="send" aria-label="Send" title="Send (Enter)" data-busy={sending}>
              <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.8">
                <path d="M8 13V3.4M3.8 7.4 8 3.2l4.2 4.2" strokeLinecap="round" strokeLinejoin="round" />
              </svg>
            </button>
          )}
        </div>
      </div>
    </form>
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
function useDraft(area, form, outbox) {
  const { pathname } = useLocation();
  const [draft] = useState(() => new Draft(area, form, outbox));
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

class Draft {
  constructor(area, form, outbox) {
    Object.assign(this, { area, form, outbox, place: null, movesUntil: 0, timer: 0 });
  }

  at(place) {
    if (place === this.place) return;
    const moving = this.place === "/" && performance.now() < this.movesUntil;
    const typed = this.area.current.value;
    if (this.place !== null && !moving) this.save();
    if (moving) keep(`draft.${this.place}`, null);
    this.place = place;
    const { text = "", id = null } = (moving ? { text: typed } : kept(`draft.${place}`)) ?? {};
    // What was typed before the page was ready stays.
    if (text || !typed || this.loaded) this.show(text || (this.loaded ? "" : typed));
    this.loaded = true;
    this.outbox.restore(text, id);
    if (moving) this.save();
  }

  show(text) {
    this.area.current.value = text;
    this.grow();
  }

  typed = () => {
    typed();
    this.grow();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), KEEP_AFTER_MS);
  };

  save() {
    clearTimeout(this.timer);
    const text = this.area.current?.value;
    if (text === undefined || this.place === null) return;
    const id = this.outbox.pending?.text === text ? this.outbox.pending.id : null;
    keep(`draft.${this.place}`, text ? { text, id } : null);
  }

  sent(text) {
    this.movesUntil = performance.now() + MOVES_WITHIN_MS;
    this.show(remainder(this.area.current.value, text));
    this.save();
  }

  grow() {
    const area = this.area.current;
    const empty = String(!area.value.trim());
    const { dataset } = this.form.current;
    if (dataset.empty !== empty) dataset.empty = empty;
    this.sizesItself ??= CSS.supports("field-sizing", "content");
    if (this.sizesItself) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }
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
