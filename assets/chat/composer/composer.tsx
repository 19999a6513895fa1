// Where messages are written. The text lives in the textarea, not in React: typing renders nothing.

import "../common/base.css";
import "./composer.css";

import { ArrowUp, Square, X } from "lucide-react";
import {
  type KeyboardEvent as ReactKeyboardEvent,
  type MouseEvent as ReactMouseEvent,
  type RefObject,
  useCallback,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { useLocation } from "react-router";
import { type Chat, useChat } from "../chat";
import { useAddress, usePlace, visitNow } from "../common/address";
import { hasFingersOnly, useFingersOnly } from "../common/fingers";
import { newId } from "../common/new-id";
import { request, runPath } from "../common/request";
import { useStableCallbacks } from "../common/stable-callbacks";
import { strings, useStrings } from "../common/strings";
import type { Model, Settings } from "../store/frames";
import { AttachButton, AttachmentList, BlindModel, pastedFiles, useAttachments } from "./attachment-list";
import { Compare, ComparingNote, comparedModels } from "./compare";
import { useCompletions } from "./completions";
import { Dictation } from "./dictation";
import { Draft } from "./draft";
import { ModelPicker } from "./model-picker";
import { type Extra, MAX_CHARACTERS, Outbox, type Send } from "./outbox";
import { Parameters } from "./parameters";
import { useLoadedPresets } from "./presets";
import { Queue, type Queued } from "./queue";
import { QueueList } from "./queue-list";
import { TemporaryNote, TemporarySwitch, useTemporary } from "./temporary";

// Safari ends a composition before the Enter that ended it arrives.
const COMPOSITION_MS = 60;
const DECIDED_MS = 1500; // for so long after a decision elsewhere Escape is not about the answer

interface Props {
  models: Model[];
  defaultModel: string;
  onSend: Send;
  /** `waitingOnly`: only answers that still wait for an approval. `seen`: the ids of those that the person saw. */
  onStop: (waitingOnly: boolean, seen: string[]) => void;
}

export function Composer({ models, defaultModel, onSend, onStop: stop }: Props) {
  const t = useStrings().composer;
  const area = useRef<HTMLTextAreaElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const composedAt = useRef(Number.NEGATIVE_INFINITY);
  const chat = useChat();
  const onStop = () => stop(false, chat.store.running());
  const answering = useAnswering();
  const { draft, error, setError, sending, submit, queued, queueActions, files } = useSending(
    area,
    form,
    onSend,
    onStop,
  );
  useTemporary();
  const completions = useCompletions(area, draft.typed);
  useLoadedPresets();
  useEscape(answering, stop);
  const shared = useSyncExternalStore(
    chat.store.subscribeMeta,
    () => chat.store.meta().shared,
    () => false,
  );

  const fingers = useFingersOnly();
  useFocus(area);
  const keyDown = (event: ReactKeyboardEvent<HTMLTextAreaElement>) => {
    if (completions.keyDown(event)) return;
    if (fingers || !isSendKey(event) || performance.now() - composedAt.current < COMPOSITION_MS) return;
    event.preventDefault();
    submit(event.currentTarget.value);
  };
  return (
    <form
      className="composer"
      hidden={shared}
      ref={form}
      data-empty="true"
      onSubmit={(event) => {
        event.preventDefault();
        submit(area.current?.value ?? "");
        // What is typed next is the next message; Space would press the button, which is Stop by then.
        if (!hasFingersOnly()) area.current?.focus({ preventScroll: true });
      }}
    >
      <QueueList items={queued} {...queueActions} />
      {error && <ErrorMessage text={error} dismiss={() => setError("")} />}
      {completions.list}
      <TemporaryNote />
      <div className="box">
        <AttachmentList items={files.items} onRemove={(key) => files.attachments.remove(key)} />
        <BlindModel items={files.items} />
        <ComparingNote />
        <textarea
          ref={area}
          data-testid="composer"
          rows={1}
          dir="auto"
          placeholder={t.placeholder}
          aria-label={t.message}
          enterKeyHint={fingers ? "enter" : "send"}
          autoComplete="off"
          onInput={() => {
            draft.typed();
            completions.look();
            if (error === t.tooLong(MAX_CHARACTERS) && (area.current?.value.length ?? 0) <= MAX_CHARACTERS)
              setError("");
          }}
          onBlur={completions.close}
          onPaste={(event) => {
            const pasted = pastedFiles(event.clipboardData);
            if (!pasted.length) return;
            event.preventDefault();
            files.add(pasted);
          }}
          onCompositionEnd={() => {
            composedAt.current = performance.now();
          }}
          onKeyDown={keyDown}
        />
        <div className="bar">
          <div className="choices">
            <AttachButton add={files.add} area={area} />
            <ModelPicker models={models} defaultModel={defaultModel} />
            <Compare />
            <Parameters />
            <Dictation area={area} onChange={draft.typed} />
            <TemporarySwitch />
          </div>
          <SendOrStop answering={answering} sending={sending} onStop={onStop} />
        </div>
      </div>
    </form>
  );
}

// On load and in a new chat one can write at once.
function useFocus(area: RefObject<HTMLTextAreaElement | null>): void {
  const { pathname, hash, key } = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: New chat on the empty page is another visit of it
  useEffect(() => {
    const { activeElement } = document;
    const elsewhere = activeElement?.closest("input, select, textarea, [role=menu], dialog");
    if (hasFingersOnly() || hash || elsewhere) return;
    if (pathname === "/" || !activeElement || activeElement === document.body) {
      area.current?.focus({ preventScroll: true });
    }
  }, [area, pathname, key]);
}

function newSettings({
  settings,
  temporary,
  toolsOff,
  model,
  models,
}: Chat): Settings & { temporary?: true; tools_off?: string[] } {
  const off = toolsOff.get();
  const { web_search, ...others } = settings.get();
  const searches = web_search && models.get().find(({ id }) => id === model.get())?.web_search;
  return {
    ...others,
    ...(searches && { web_search }),
    ...(temporary.get() && { temporary: true }),
    ...(off.length && { tools_off: off }),
  };
}

function extraOf(chat: Chat): Extra {
  const { conversation } = chat.store.meta();
  const models = comparedModels(chat);
  return { conversation, ...(conversation === null && newSettings(chat)), ...(models.length && { models }) };
}

function useAnswering(): boolean {
  const { store } = useChat();
  return useSyncExternalStore(
    store.subscribeMeta,
    () => store.meta().answering,
    () => false,
  );
}

// Whether answers stand side by side.
function useCompared(): boolean {
  const { store } = useChat();
  return useSyncExternalStore(
    store.subscribeMeta,
    () => store.meta().compared.length > 0,
    () => false,
  );
}

// Whether the last message is a complete answer. It is shown a moment after the answer is known to have ended.
function useComplete(): boolean {
  const { store } = useChat();
  return useSyncExternalStore(
    store.subscribeMeta,
    () => {
      const { ids, compared } = store.meta();
      const last = store.message(ids.at(-1) ?? "");
      return !compared.length && last?.role === "assistant" && last.status === "finished";
    },
    () => false,
  );
}

// Sending, and what the server answers to it.
function useSending(
  area: RefObject<HTMLTextAreaElement | null>,
  form: RefObject<HTMLFormElement | null>,
  onSend: Send,
  onStop: () => void,
) {
  const chat = useChat();
  const [error, setError] = useState("");
  const [sending, setSending] = useState(false);
  const { send } = useStableCallbacks({ send: onSend });
  const [outbox] = useState(() => new Outbox({ newId, send }));
  const draft = useDraft(area, form, outbox, () => setSending(false));

  // A message that was sent before its conversation was there waits for it, and for its model.
  const waiting = useRef(false);
  const shown = useRef(false);
  const { id: conversation, pending } = useAddress();
  // A message that was sent while a file of it was on its way waits for it.
  const waitsForFiles = useRef(false);
  const sendWaiting = useStableCallbacks({ settled: () => waitsForFiles.current && submit(area.current?.value ?? "") });
  const files = useAttachments(setError, sendWaiting.settled);
  const { attachments } = files;
  const { queue, queued, queueActions, takeQueued, refuseQueued } = useQueue(send, onStop, ({ text, files }) => {
    draft.put(text);
    attachments.restore(files ?? []);
    area.current?.focus();
  });
  const areFilesReady = useCallback(() => {
    waitsForFiles.current = attachments.blocked === "uploading";
    if (attachments.blocked === "error") setError(strings().composer.notUploaded);
    return !attachments.blocked;
  }, [attachments]);
  const follow = useCallback(
    (text: string, model: string) => {
      const { files } = attachments;
      const models = comparedModels(chat, model);
      const more = { ...(files.length && { files }), ...(models.length && { models }) };
      if (!queue.add({ id: newId(), text, model, ...more })) return;
      chat.compare.set([]);
      attachments.sent(files.map(({ id }) => id));
      draft.clear();
    },
    [chat, queue, attachments, draft],
  );
  const submit = useCallback(
    (text: string, model?: string) => {
      const meta = chat.store.meta();
      waiting.current = !shown.current;
      if (waiting.current || meta.shared || !areFilesReady()) return;
      const chosen = model || chat.model.get();
      if (meta.answering) {
        if (text !== outbox.pending?.text) follow(text, chosen);
        return;
      }
      if (meta.compared.length) return setError(strings().composer.keepOne);
      const extra = { ...extraOf(chat), ...attachments.extra };
      chat.askedIn.set(visitNow());
      if (model) delete extra.models; // a question that names its model is for that one
      const outcome = outbox.submit(text, chosen, extra);
      if (outcome === "empty" || outcome === "busy") return;
      setError(outcome === "long" ? strings().composer.tooLong(MAX_CHARACTERS) : "");
      if (outcome === "long") return;
      setSending(true);
      draft.save();
      chat.scroll.stick();
    },
    [chat, outbox, draft, follow, areFilesReady, attachments],
  );
  useEffect(() => {
    chat.submit.set(submit);
    return () => chat.submit.set(null);
  }, [chat, submit]);
  useEffect(
    () =>
      chat.store.onFrame((frame) => {
        if (frame.k === "open") outbox.resend();
        if (frame.k === "sent" && !takeQueued(frame.client_id)) {
          const sentFiles = outbox.pending?.extra?.files ?? [];
          const text = outbox.accepted(frame.client_id);
          if (text === null) return draft.sentElsewhere(frame.client_id);
          setSending(false);
          chat.compare.set([]);
          draft.sent(text);
          attachments.sent(sentFiles);
        }
        if (frame.k === "say") {
          setError(strings().common.told(frame.text));
          refuseQueued(frame.client_id);
          if (outbox.refused(frame.client_id)) setSending(false);
        }
      }),
    [chat, outbox, draft, attachments, takeQueued, refuseQueued],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: another conversation has nothing that waits
  useEffect(() => {
    waiting.current = false;
    waitsForFiles.current = false;
    setError("");
  }, [conversation]);
  // A reason that is none any more is not said: an answer that was under way, answers side by side, a file.
  useEffect(() => chat.store.onFrame((frame) => frame.k === "end" && setError("")), [chat]);
  const compared = useCompared();
  const hasBadFile = files.items.some((item) => item.state === "error");
  const { keepOne, notUploaded } = useStrings().composer;
  useEffect(() => {
    if ((error === keepOne && !compared) || (error === notUploaded && !hasBadFile)) setError("");
  }, [error, compared, hasBadFile, keepOne, notUploaded]);
  useEffect(() => {
    shown.current = !pending;
    if (!pending && waiting.current) submit(area.current?.value ?? "");
  }, [pending, submit, area]);
  return { draft, error, setError, sending, submit, queued, queueActions, files };
}

// The messages that follow the answer under way. They are sent once it is complete; after any other end the person decides.
function useQueue(send: Send, onStop: () => void, onEdit: (item: Queued) => void) {
  const chat = useChat();
  const { id, pending } = useAddress();
  const [queue] = useState(() => new Queue());
  const [outbox] = useState(() => new Outbox({ newId, send }));
  const queued = useSyncExternalStore(queue.subscribe, queue.list, queue.list);
  const answering = useAnswering();
  const complete = useComplete();
  // The message that is sent as soon as the answer has stopped.
  const urgent = useRef<string | null>(null);
  useEffect(() => queue.at(id ?? null), [queue, id]);
  useEffect(() => {
    addEventListener("storage", queue.read);
    return () => removeEventListener("storage", queue.read);
  }, [queue]);
  const sendNext = useCallback(
    (item: Queued | undefined) => {
      if (!item || outbox.pending) return;
      urgent.current = null;
      outbox.restore(item.text, item.id);
      const ids = item.files?.map(({ id }) => id);
      outbox.submit(item.text, item.model, {
        conversation: chat.store.meta().conversation,
        ...(ids?.length && { files: ids }),
        ...(item.models && { models: item.models }),
      });
      chat.scroll.stick();
    },
    [chat, outbox],
  );
  useEffect(() => {
    if (answering || pending || !id) return;
    const now = queued.find((item) => item.id === urgent.current);
    if (now || complete) sendNext(now ?? queued[0]);
  }, [answering, complete, pending, id, queued, sendNext]);
  const takeQueued = useCallback(
    (clientId: string) => {
      const taken = outbox.accepted(clientId) !== null;
      if (taken) queue.remove(clientId);
      return taken;
    },
    [queue, outbox],
  );
  useEffect(
    () =>
      chat.store.onFrame((frame) => {
        if (frame.k !== "open" || !outbox.pending) return;
        // It stays in the queue of the conversation that was left, and is the same message when it is sent from there.
        if (outbox.pending.extra?.conversation !== frame.conversation) outbox.refused(outbox.pending.id);
        else outbox.resend();
      }),
    [chat, outbox],
  );
  const refuseQueued = useCallback((clientId: string | undefined) => void outbox.refused(clientId), [outbox]);
  const queueActions = {
    onEdit: (item: Queued) => {
      queue.remove(item.id);
      onEdit(item);
    },
    onRemove: (item: Queued) => queue.remove(item.id),
    onNow: (item: Queued) => {
      if (!chat.store.meta().answering) return sendNext(item);
      urgent.current = item.id;
      onStop();
    },
    // The server keeps it from here on, and all tabs show it.
    onRound: async (item: Queued, run: string) => {
      const body = { message: partsOf(item), model: item.model || undefined, at: "round", client_message_id: item.id };
      if (await chat.attempt(() => request("POST", `${runPath(run)}/steer`, body))) queue.remove(item.id);
    },
  };
  return { queue, queued, queueActions, takeQueued, refuseQueued };
}

// A message as the HTTP API takes it.
function partsOf({ text, files = [] }: Queued) {
  const texts = text.trim() || !files.length ? [{ type: "text", text }] : [];
  return [...texts, ...files.map(({ id }) => ({ type: "file", file_id: id }))];
}

// The draft of each conversation, stored in the browser.
function useDraft(
  area: RefObject<HTMLTextAreaElement | null>,
  form: RefObject<HTMLFormElement | null>,
  outbox: Outbox,
  onLeft: () => void,
): Draft {
  const { store, askedIn, painter, temporary } = useChat();
  const place = usePlace();
  const { pathname, key } = useLocation();
  // The last visit of the empty page.
  const visit = useRef("");
  const [draft] = useState(
    () => new Draft({ area, form, outbox, onTyped: painter.typed, onLeft, stores: () => !temporary.get() }),
  );
  useEffect(() => {
    if (pathname === "/") visit.current = key;
    const { begun, conversation } = store.meta();
    draft.at(place, begun && place === `/c/${conversation}` && askedIn.get() === visit.current);
  }, [draft, store, askedIn, place, pathname, key]);
  useEffect(() => {
    const save = draft.saveChanges;
    addEventListener("pagehide", save);
    addEventListener("storage", draft.storedElsewhere);
    return () => {
      removeEventListener("pagehide", save);
      removeEventListener("storage", draft.storedElsewhere);
      save();
    };
  }, [draft]);
  return draft;
}

function useEscape(answering: boolean, onStop: Props["onStop"]): void {
  const { store, decidedElsewhere } = useChat();
  const { stop } = useStableCallbacks({ stop: onStop });
  useEffect(() => {
    if (!answering) return;
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented || event.isComposing || isOpenList(event.target)) return;
      // It was meant for a form that another tab has just answered.
      if (performance.now() - decidedElsewhere.get() < DECIDED_MS) return;
      stop(store.meta().waiting, store.running());
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [answering, stop, store, decidedElsewhere]);
}

// The browser's own list of options, which Escape closes.
function isOpenList(target: EventTarget | null): boolean {
  return target instanceof HTMLSelectElement && CSS.supports("selector(:open)") && target.matches(":open");
}

// Enter sends, unless it breaks a line or ends a composition (of Chinese, Japanese, Korean …).
function isSendKey(event: ReactKeyboardEvent): boolean {
  if (event.key !== "Enter" || event.shiftKey || event.altKey) return false;
  const { isComposing, keyCode } = event.nativeEvent;
  return !isComposing && keyCode !== 229;
}

interface ButtonProps {
  answering: boolean;
  sending: boolean;
  onStop: () => void;
}

// One button that changes its meaning, so that it keeps the focus.
function SendOrStop({ answering, sending, onStop }: ButtonProps) {
  const t = useStrings().composer;
  // A press before the page's code is there would be lost, or would submit the form as pages without code do.
  const [ready, setReady] = useState(false);
  useEffect(() => setReady(true), []);
  if (!answering) {
    return (
      <button
        type="submit"
        className="round"
        data-testid="send"
        aria-label={t.send}
        title={t.sendHint}
        data-busy={sending}
        disabled={!ready}
      >
        <ArrowUp size={18} />
      </button>
    );
  }
  const stop = (event: ReactMouseEvent) => {
    // The second click of a double click on Send does not stop.
    if (event.detail < 2) onStop();
  };
  return (
    <button type="button" className="round" data-testid="stop" aria-label={t.stop} title={t.stopHint} onClick={stop}>
      <Square size={14} fill="currentColor" />
    </button>
  );
}

function ErrorMessage({ text, dismiss }: { text: string; dismiss: () => void }) {
  const t = useStrings().composer;
  return (
    <div className="said">
      <p>{text}</p>
      <button type="button" className="quiet" onClick={dismiss} aria-label={t.dismiss}>
        <X size={14} />
      </button>
    </div>
  );
}
