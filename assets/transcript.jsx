// The conversation: its messages, and where the reader is in it.

import { useContext, useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore } from "react";
import { Link } from "react-router";
import { StateStoreContext } from "$/utils/context-registry";

import { Empty } from "./empty.jsx";
import { whenFilled } from "./fill.js";
import { actions, follow, store } from "./session.js";
import { textOf } from "./store.js";
import "./streamchat.css";

// Markdown is the greater part of the page's code: it comes while the rest is there already.
const loading = typeof window === "undefined" ? null : import("./message.jsx");

const FRAME = "f_rx_state_";
const HYDRATED = "is_hydrated_rx_state_";
const EAGER = 16_000; // characters that are rendered at once where a conversation is opened

export function Transcript({ state, suggestions, onResync, onRetry, onContinue, onEarlier, onDecide }) {
  useFrames(state);
  useEffect(() => {
    Object.assign(actions, { resync: onResync, retry: onRetry, continue: onContinue, earlier: onEarlier, decide: onDecide });
  });
  const meta = useSyncExternalStore(store.subscribe.bind(null, "meta"), store.meta, store.meta);
  const [scroller, content] = useFollow(meta);
  const Message = useMessage();
  const eager = useEager(meta.ids);
  const showEarlier = useEarlier(scroller, meta.ids[0]);
  useTitle(meta.title);
  const settled = useSettled(meta);
  const lastId = meta.ids.at(-1);
  return (
    <div className="transcript">
      <div className="scroller" ref={scroller} tabIndex={0} role="region" aria-label="Conversation">
        <div className="thread" ref={content} aria-busy={meta.answering} data-settled={settled}>
          {meta.earlier && (
            <button type="button" className="button earlier" onClick={showEarlier}>
              Show earlier messages
            </button>
          )}
          {Message && meta.ids.map((id) => <Message key={id} id={id} last={id === lastId} eager={eager.has(id)} />)}
          {meta.error && <p className="error">{meta.error}</p>}
          {meta.missing && <Missing />}
          {meta.opened && !meta.ids.length && !meta.missing && !meta.error && <Empty suggestions={suggestions} />}
        </div>
      </div>
      <JumpToLatest scroller={scroller} />
      <Announcements />
    </div>
  );
}

function useMessage() {
  const [loaded, setLoaded] = useState(null);
  useEffect(() => {
    loading.then((module) => setLoaded({ Message: module.Message }));
  }, []);
  return loaded?.Message;
}

// Frames go around React: none is skipped, and none makes anything render by itself.
function useFrames(state) {
  const states = useContext(StateStoreContext);
  useEffect(() => {
    const take = () => {
      const frame = states.getSnapshot(state)?.[FRAME];
      if (isNews(frame, states.getSnapshot(state.split(".")[0])?.[HYDRATED])) store.feed(frame);
    };
    const stop = states.subscribe(state, take);
    take();
    return stop;
  }, [states, state]);
}

// With every (re)connect the tab's last frame comes again: it may be an "open" of an address that was left meanwhile, or
// a sentence that was said before. (What is said in that moment is said again: the outbox sends again after an "open".)
function isNews(frame, hydrated) {
  if (frame?.k === "say" || frame?.k === "sent" || frame?.k === "undecided") return hydrated;
  const here = /^\/(?:c\/([\w-]{1,64})\/?)?$/.exec(location.pathname);
  return frame?.k !== "open" || !here || (here[1] ?? null) === frame.conversation;
}

function useFollow({ conversation, ids }) {
  const empty = !ids.length;
  const scroller = useRef(null);
  const content = useRef(null);
  useEffect(() => follow.attach(scroller.current, content.current), []);
  useLayoutEffect(() => {
    follow.empty = empty;
    follow.arm();
  }, [conversation, empty]);
  return [scroller, content];
}

// What is near the end is rendered at once, the rest in the frames that follow.
function useEager(ids) {
  const known = useRef({ seen: new Set(), eager: new Set() });
  const { seen, eager } = known.current;
  let left = EAGER;
  for (const id of ids.toReversed()) {
    if (seen.has(id)) continue;
    seen.add(id);
    if (left > 0) eager.add(id);
    left -= store.message(id)?.parts.reduce((sum, part) => sum + (part.splitter?.length ?? 0), 0) ?? 0;
  }
  return eager;
}

// Once everything was laid out, what is far from the end is skipped where it is out of view: its size is known by then.
function useSettled({ conversation, ids }) {
  const place = `${conversation} ${ids[0]}`;
  const [settled, setSettled] = useState(null);
  useEffect(() => whenFilled(() => setSettled(place)), [place]);
  return settled === place;
}

function useTitle(title) {
  useEffect(() => {
    document.title = title ? `${title} · streamchat` : "streamchat";
  }, [title]);
}

// Earlier messages come in above: what the reader looks at stays where it is.
function useEarlier(scroller, first) {
  const at = useRef(null);
  useLayoutEffect(() => {
    const before = at.current;
    if (!before || before.first === first) return;
    at.current = null;
    const now = placeOf(before.first);
    if (now !== null) scroller.current.scrollTop += now - before.place;
  }, [first, scroller]);
  return () => {
    at.current = { first, place: placeOf(first) ?? 0 };
    follow.leave();
    actions.earlier(first);
  };
}

function placeOf(id) {
  return document.querySelector(`[data-message-id="${CSS.escape(id)}"]`)?.getBoundingClientRect().top ?? null;
}

function Missing() {
  return (
    <div className="missing">
      <p>This conversation does not exist, or it was deleted.</p>
      <Link className="button" to="/">
        New chat
      </Link>
    </div>
  );
}

function JumpToLatest({ scroller }) {
  const following = useSyncExternalStore(follow.subscribe, follow.isFollowing, () => true);
  if (following) return null;
  const jump = () => {
    follow.arm();
    // The button goes: the keyboard stays in the conversation.
    scroller.current.focus({ preventScroll: true });
  };
  return (
    <button type="button" className="jump" data-testid="jump-latest" onClick={jump} aria-label="Jump to latest">
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.6">
        <path d="M8 3v9.5M4 8.7 8 12.6l4-3.9" strokeLinecap="round" strokeLinejoin="round" />
      </svg>
      <span>Jump to latest</span>
    </button>
  );
}

// Spoken at the boundaries of an answer, never for each token.
function Announcements() {
  const [said, say] = useState("");
  useEffect(() => {
    let answering = store.meta().answering;
    const stopMeta = store.subscribe("meta", () => {
      const now = store.meta().answering;
      if (now && !answering) say("Generating");
      answering = now;
    });
    const stopFrames = store.onFrame((frame) => {
      if (frame.k === "end") say(endingWords(frame, store.message(frame.m)));
      if (frame.k === "say" || frame.k === "undecided") say(frame.text);
      if (frame.k === "patch" && frame.status === "waiting") say("Waiting for your approval");
    });
    return () => {
      stopMeta();
      stopFrames();
    };
  }, []);
  return (
    <div className="sr-only" role="status" aria-live="polite">
      {said}
    </div>
  );
}

function endingWords({ status, why, error }, view) {
  if (status === "stopped") return "Stopped";
  if (status !== "finished") return why || error?.message || "The answer was cut off before its end.";
  const words = view ? textOf(view).split(/\s+/).filter(Boolean).length : 0;
  return `Complete, ${words} ${words === 1 ? "word" : "words"}`;
}
