// The conversation: its messages, and where the reader is in it.

import "../common/base.css";
import "./transcript.css";

import { ArrowDown } from "lucide-react";
import { type RefObject, useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore } from "react";
import { Link, useLocation, useNavigate } from "react-router";
import { type News, useChat } from "../chat";
import { conversationAt, useAddress, visitNow } from "../common/address";
import { basePath, goToSignIn, routePath } from "../common/base-path";
import { NotLoaded } from "../common/lazy-part";
import { appName } from "../common/page-settings";
import { useStateVar } from "../common/reflex";
import { messagePath, request } from "../common/request";
import { useShared } from "../common/shared-value";
import { useStableCallbacks } from "../common/stable-callbacks";
import { useStrings } from "../common/strings";
import { whenRendered } from "../markdown/render-budget";
import type { Frame } from "../store/frames";
import { Pace } from "../store/pace";
import { systemClock } from "../store/resync";
import type { Meta } from "../store/transcript-store";
import { type Actions, ActionsProvider } from "./actions";
import { Announcements } from "./announcements";
import { Compared } from "./compared";
import { elementOf } from "./element-of";
import { Empty } from "./empty";
import { currentPlace, keepPlace, type Place, placeIn } from "./reading-place";
import { UndoBar } from "./undo";
import { WarmUp } from "./warm-up";

// Markdown is the greater part of the page's code: it is loaded while the rest is there already.
const loadMessage = () => import("./message");
let messageModule = typeof window === "undefined" ? null : loadMessage();
type MessageComponent = typeof import("./message").Message;

const EAGER = 16_000; // characters that are rendered at once when a conversation is opened
const NONE: string[] = [];
const ADDRESS_MS = 500; // the router waits no longer for the first words of a conversation that has begun
const AFTER_WORDS_MS = 100;
const MARKED_MS = 2500; // for so long the message to which a search led is marked

interface Props {
  /** The full name of the Reflex state whose var `f` is the newest frame. */
  state: string;
  onResync: () => void;
  onRetry: Actions["retry"];
  onContinue: Actions["continue"];
  onEarlier: (firstId: string) => void;
  onDecide: Actions["decide"];
  onPace: (milliseconds: number) => void;
}

export function Transcript(props: Props) {
  const { state, onResync, onRetry, onContinue, onEarlier, onDecide, onPace } = props;
  const {
    transcript: t,
    common: { told },
  } = useStrings();
  const { store, news } = useChat();
  const actions = useStableCallbacks({ retry: onRetry, continue: onContinue, decide: onDecide });
  useFrames(state, onResync);
  useNewAddress();
  usePace(onPace);
  const meta = useSyncExternalStore(store.subscribeMeta, store.meta, store.meta);
  const { id: address, pending } = useAddress();
  // What is shown is what the address names: never the conversation before it.
  const ids = pending ? NONE : meta.ids;
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const { Message, failed, load } = useMessage();
  useStickToBottom(scroller, content, meta, !ids.length, !!Message, onEarlier);
  const eager = useEager(ids);
  const showEarlier = useEarlier(scroller, meta.ids[0], onEarlier);
  useWhole(!pending && meta.earlier, meta.ids[0], showEarlier);
  useJump(Message ? ids : NONE, meta, onEarlier);
  useTitle(pending ? "" : meta.title, useShared(news));
  const settled = useSettled(meta);
  const lastId = ids.at(-1);
  const compared = pending ? NONE : meta.compared;
  const [before, after] = around(ids, compared);
  return (
    <div className="transcript">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it can be scrolled with the keyboard */}
      <div className="scroller" ref={scroller} tabIndex={0} role="region" aria-label={t.conversation}>
        <div
          className="thread"
          ref={content}
          aria-busy={meta.answering}
          data-settled={settled}
          data-compared={compared.length > 0}
        >
          {pending && address && <Skeleton />}
          {!pending && meta.earlier && (
            <button type="button" className="button earlier" onClick={showEarlier}>
              {t.showEarlier}
            </button>
          )}
          <ActionsProvider value={actions}>
            {Message && before.map((id) => <Message key={id} id={id} last={id === lastId} eager={eager.has(id)} />)}
            {Message && compared.length > 0 && (
              <Compared ids={compared}>{(id) => <Message id={id} last eager={eager.has(id)} />}</Compared>
            )}
            {Message && after.map((id) => <Message key={id} id={id} last={id === lastId} eager={eager.has(id)} />)}
            {Message && <WarmUp Message={Message} wanted={!pending && !ids.length} />}
          </ActionsProvider>
          {failed && ids.length > 0 && <NotLoaded onRetry={load} />}
          {!pending && meta.error && <p className="error">{told(meta.error)}</p>}
          {!pending && meta.missing && <Missing />}
          {!pending && !ids.length && !meta.missing && !meta.error && <Empty />}
        </div>
      </div>
      <div className="floating">
        <JumpToLatest scroller={scroller} />
        <UndoBar />
      </div>
      <Announcements />
    </div>
  );
}

// What stands before and after the answers side by side. There is something after them, or between them, only while a
// change arrives frame by frame.
function around(ids: string[], compared: string[]): [string[], string[]] {
  if (!compared.length) return [ids, NONE];
  return [ids.slice(0, ids.indexOf(compared[0])), ids.slice(ids.lastIndexOf(compared[compared.length - 1]) + 1)];
}

interface MessageModule {
  Message: MessageComponent | null;
  failed: boolean;
  /** Loads it once more. */
  load: () => void;
}

function useMessage(): MessageModule {
  const [{ Message, failed }, set] = useState<Omit<MessageModule, "load">>({ Message: null, failed: false });
  const wait = () => {
    messageModule?.then(
      ({ Message }) => set({ Message, failed: false }),
      () => set({ Message: null, failed: true }),
    );
  };
  useEffect(wait, []);
  const load = () => {
    messageModule = loadMessage();
    wait();
  };
  return { Message, failed, load };
}

function useFrames(state: string, onResync: () => void): void {
  const { store, askedIn } = useChat();
  const callbacks = useStableCallbacks({ resync: onResync });
  useEffect(() => store.onResync(callbacks.resync), [store, callbacks]);
  useStateVar<Frame>(state, "f", (frame, hydrated) => {
    if (!frame) return;
    // A chat was begun, and left for a new one at once: the server may take this one for that one.
    const { opened } = store.meta();
    if (opened && isBegun(frame) && askedIn.get() !== visitNow()) return callbacks.resync();
    if (!isNews(frame, hydrated, opened)) return;
    if (frame.k === "say" && frame.sign_in) goToSignIn();
    store.feed(frame);
  });
}

// A conversation that has begun here has its address at once, for a reload or a bookmark. The router goes there after the
// first words: that is a hundred milliseconds of work. Neither happens to an entry of the history that follows, which is
// there before React shows it.
function useNewAddress(): void {
  const { store, painter } = useChat();
  const navigate = useNavigate();
  const { key } = useLocation();
  const { id, begun } = useAddress();
  const { go } = useStableCallbacks({
    go: () => id && begun && visitNow() === key && void navigate(`/c/${id}`, { replace: true }),
  });
  useEffect(() => {
    if (!id || !begun || visitNow() !== key) return;
    history.replaceState(history.state, "", `${basePath()}/c/${id}`);
    let timer = setTimeout(go, ADDRESS_MS);
    const forget = painter.onPainted(() => {
      const { ids } = store.meta();
      if (!store.text(ids[ids.length - 1] ?? "")) return;
      forget();
      clearTimeout(timer);
      timer = setTimeout(go, AFTER_WORDS_MS);
    });
    return () => {
      forget();
      clearTimeout(timer);
    };
  }, [store, painter, id, begun, key, go]);
}

// The server sends what this tab can show, and no more often.
function usePace(onPace: (milliseconds: number) => void): void {
  const { store, painter } = useChat();
  const callbacks = useStableCallbacks({ pace: onPace });
  useEffect(() => {
    const pace = new Pace(systemClock, callbacks.pace);
    const shown = () => pace.shown(!document.hidden);
    const forget = [
      store.onFrame((frame) => frame.k === "open" && pace.opened()),
      painter.onPainted(() => {
        pace.painted(painter.cost);
        store.painted(painter.lag);
      }),
    ];
    document.addEventListener("visibilitychange", shown);
    shown();
    return () => {
      document.removeEventListener("visibilitychange", shown);
      for (const end of forget) end();
    };
  }, [store, painter, callbacks]);
}

// With every (re)connect the tab's last frame comes again: it may be an "open" of an address that was left meanwhile, a
// piece, or a message to the person that was shown before. (One that was sent in that moment is sent again: the outbox repeats
// what is on its way after an "open".)
function isNews(frame: Frame, hydrated: boolean, opened: boolean): boolean {
  if (frame.k === "say" || frame.k === "sent" || frame.k === "undecided" || isBarePiece(frame)) return hydrated;
  const address = conversationAt(routePath());
  if (frame.k !== "open" || address === undefined || address === frame.conversation) return true;
  return opened && isBegun(frame); // else it was begun before a reload
}

// Whether it shows a conversation that was begun, on the empty page.
function isBegun(frame: Frame): boolean {
  return frame.k === "open" && !!frame.begun && conversationAt(routePath()) === null;
}

// One that does not say which piece it is.
function isBarePiece(frame: Frame): boolean {
  return frame.k === undefined && frame.s === undefined;
}

function useStickToBottom(
  scroller: RefObject<HTMLElement | null>,
  content: RefObject<HTMLElement | null>,
  { conversation, ids, earlier }: Meta,
  empty: boolean,
  rendered: boolean,
  onEarlier: (firstId: string) => void,
): void {
  const { scroll } = useChat();
  const { hash } = useLocation();
  const { load } = useStableCallbacks({ load: onEarlier });
  const sought = useRef<{ visit: string; place?: Place; found: boolean }>({ visit: "", found: false });
  useEffect(() => {
    if (scroller.current && content.current) return scroll.attach(scroller.current, content.current);
  }, [scroll, scroller, content]);
  // Another conversation begins where it was left, with the pages before it until that is there, or at its end.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when another one is there, or another page of it
  useLayoutEffect(() => {
    scroll.empty = empty;
    const visit = `${conversation} ${empty} ${rendered}`;
    if (sought.current.visit !== visit) {
      const place = conversation && !hash && !empty ? placeIn(conversation) : undefined;
      sought.current = { visit, place, found: false };
    }
    const { current } = sought;
    if (current.found) return;
    const { place } = current;
    if (place && rendered && earlier && !ids.includes(place.message)) {
      scroll.release();
      load(ids[0]);
      return;
    }
    current.found = true;
    if (!place || !elementOf(place.message)) return scroll.stick();
    scroll.release();
    return holdAt(place.message, place.top);
  }, [scroll, conversation, empty, rendered, ids[0]]);
  useEffect(() => {
    const { current } = scroller;
    if (!current || !conversation || empty || !rendered) return;
    let planned = 0;
    const keep = () => {
      planned = 0;
      if (!sought.current.found) return;
      keepPlace(conversation, scroll.isStuck() ? null : currentPlace(current));
    };
    const scrolled = () => {
      planned ||= requestAnimationFrame(keep);
    };
    current.addEventListener("scroll", scrolled, { passive: true });
    return () => {
      cancelAnimationFrame(planned);
      current.removeEventListener("scroll", scrolled);
    };
  }, [scroll, scroller, conversation, empty, rendered]);
}

// What is near the end is rendered at once, the rest in the frames that follow.
function useEager(ids: string[]): Set<string> {
  const { store } = useChat();
  const known = useRef({ seen: new Set<string>(), eager: new Set<string>() });
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

// Once everything was laid out, what is far from the end is skipped while it is out of view: its size is known by then.
function useSettled({ conversation, ids }: Meta): boolean {
  const place = `${conversation} ${ids[0]}`;
  const [settled, setSettled] = useState<string | null>(null);
  useEffect(() => whenRendered(() => setSettled(place)), [place]);
  return settled === place;
}

function useTitle(title: string, news: News): void {
  const { needsYou } = useStrings().shell;
  useEffect(() => {
    const marks: Record<News, string> = { "": "", ready: "● ", waiting: `${needsYou} · ` };
    document.title = marks[news] + (title ? `${title} · ${appName()}` : appName());
  }, [title, news, needsYou]);
}

// Earlier messages come in above: what the reader looks at stays where it is.
function useEarlier(
  scroller: RefObject<HTMLElement | null>,
  first: string,
  onEarlier: (firstId: string) => void,
): () => void {
  const { scroll } = useChat();
  const before = useRef<{ first: string; top: number } | null>(null);
  useLayoutEffect(() => {
    const { current } = before;
    if (!current || current.first === first) return;
    before.current = null;
    const top = topOf(current.first);
    if (top !== null && scroller.current) scroller.current.scrollTop += top - current.top;
  }, [first, scroller]);
  return () => {
    before.current = { first, top: topOf(first) ?? 0 };
    scroll.release();
    onEarlier(first);
  };
}

// The browser's search and its printing reach what is in the page: with their keys all of the conversation is loaded.
function useWhole(earlier: boolean, first: string | undefined, showEarlier: () => void): void {
  const wanted = useRef({ all: false, print: false });
  const { load } = useStableCallbacks({ load: showEarlier });
  useEffect(() => {
    if (!earlier) return;
    const pressed = (event: KeyboardEvent) => {
      const key = event.key.toLowerCase();
      if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey || (key !== "f" && key !== "p")) return;
      const { current } = wanted;
      if (key === "p") {
        event.preventDefault();
        current.print = true;
      }
      if (!current.all) load();
      current.all = true;
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [earlier, load]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: again with each page that came
  useEffect(() => {
    const { current } = wanted;
    if (!current.all) return;
    if (earlier) return load();
    current.all = false;
    if (!current.print) return;
    current.print = false;
    return whenRendered(() => window.print());
  }, [earlier, first, load]);
}

// Goes to the message that the address names behind "#": shows its branch, and pages before it, until it is there. `ids`:
// those whose elements are in the page.
function useJump(ids: string[], { conversation, earlier }: Meta, onEarlier: (firstId: string) => void): void {
  const { attempt, scroll } = useChat();
  const { hash, key } = useLocation();
  const target = decodeURIComponent(hash.slice(1));
  const state = useRef({ place: "", selected: false });
  const { earlier: load } = useStableCallbacks({ earlier: onEarlier });
  useEffect(() => {
    const { current } = state;
    const place = `${conversation} ${target} ${key}`;
    if (!target || !ids.length || current.place === `${place} done`) return;
    if (current.place !== place) state.current = { place, selected: false };
    if (ids.includes(target)) {
      state.current.place = `${place} done`;
      scroll.release();
      return show(target);
    }
    if (!state.current.selected) {
      state.current.selected = true;
      void attempt(() => request("POST", messagePath(target, "/select")));
    }
    if (earlier) {
      scroll.release();
      load(ids[0]);
    }
  }, [attempt, scroll, load, ids, conversation, earlier, target, key]);
}

// Scrolls to a message, and marks it for a moment.
function show(messageId: string): void {
  const message = elementOf(messageId);
  if (!message) return;
  message.setAttribute("data-marked", "true");
  setTimeout(() => message.removeAttribute("data-marked"), MARKED_MS);
  holdAt(messageId, 0);
}

// Scrolls so that a message is so far below the top of the view, and stays there until the reader's own next move: what is
// rendered or skipped above moves it, on a slow machine long after. Returns what ends that.
function holdAt(messageId: string, top: number): () => void {
  const message = elementOf(messageId);
  const scroller = message?.closest(".scroller");
  const moved = new AbortController();
  if (!message?.parentElement || !scroller) return () => {};
  const scroll = () => {
    scroller.scrollTop += message.getBoundingClientRect().top - scroller.getBoundingClientRect().top - top;
  };
  const sizes = new ResizeObserver(scroll);
  moved.signal.addEventListener("abort", () => sizes.disconnect());
  for (const type of ["wheel", "touchstart", "pointerdown", "keydown"]) {
    addEventListener(type, () => moved.abort(), { capture: true, passive: true, signal: moved.signal });
  }
  scroll();
  sizes.observe(message.parentElement);
  return () => moved.abort();
}

function Skeleton() {
  return (
    <div
      className="skeleton"
      data-testid="skeleton"
      role="status"
      aria-label={useStrings().transcript.loadingConversation}
    >
      <i className="mine" />
      <i />
      <i />
      <i className="short" />
    </div>
  );
}

function topOf(messageId: string): number | null {
  const message = elementOf(messageId);
  return message?.getBoundingClientRect().top ?? null;
}

function Missing() {
  const t = useStrings().transcript;
  return (
    <div className="missing">
      <p>{t.gone}</p>
      <Link className="button" to="/">
        {t.newChat}
      </Link>
    </div>
  );
}

function JumpToLatest({ scroller }: { scroller: RefObject<HTMLElement | null> }) {
  const t = useStrings().transcript;
  const { scroll } = useChat();
  const stuck = useSyncExternalStore(scroll.subscribe, scroll.isStuck, () => true);
  if (stuck) return null;
  const jump = () => {
    scroll.stick();
    // The button disappears: the focus stays in the conversation.
    scroller.current?.focus({ preventScroll: true });
  };
  return (
    <button type="button" className="jump" data-testid="jump-latest" onClick={jump} aria-label={t.jumpToLatest}>
      <ArrowDown size={16} />
      <span>{t.jumpToLatest}</span>
    </button>
  );
}
