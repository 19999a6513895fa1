// What can be done with a message: copy, edit, answer again, choose another version, delete.

import { ChevronLeft, ChevronRight, FileText, GitFork, Pencil, RefreshCw, Scissors, Trash2 } from "lucide-react";
import { type ChangeEvent, type KeyboardEvent, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useNavigate } from "react-router";
import { type Chat, useChat } from "../chat";
import { CopyButton, copyText } from "../common/copy-button";
import { hasFingersOnly } from "../common/fingers";
import { focusIfLost } from "../common/focus-back";
import { Menu } from "../common/menu";
import { newId } from "../common/new-id";
import { messagePath, request } from "../common/request";
import { useShared } from "../common/shared-value";
import { visit } from "../common/storage";
import { strings, useStrings } from "../common/strings";
import { isTemporary } from "../common/temporary-ids";
import { useConfirmModel } from "../composer/confirm-model";
import { groupByProvider } from "../composer/models";
import { type MessageView, textOf } from "../store/message-parts";
import type { Meta, TranscriptStore } from "../store/transcript-store";
import { elementOf } from "./element-of";

/** A value of the conversation. Each message has several of these: only another value renders it again. */
export function useMeta(of: (meta: Meta) => boolean): boolean {
  const { store } = useChat();
  const value = () => of(store.meta());
  return useSyncExternalStore(store.subscribeMeta, value, value);
}

export const isShared = ({ shared }: Meta): boolean => shared;

// The question that was changed and sent from its box, which goes with it. Another version takes its place.
const changed = new WeakMap<TranscriptStore, string>();

function useFocusAfterChange({ id, versions }: MessageView) {
  const { store } = useChat();
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const before = changed.get(store);
    if (!before || before === id || !versions?.includes(before)) return;
    changed.delete(store);
    focusIfLost(button.current);
  }, [store, id, versions]);
  return button;
}

/** The buttons below a question. */
export function QuestionActions({ view, onEdit }: { view: MessageView; onEdit: () => void }) {
  const t = useStrings().transcript;
  const { store } = useChat();
  const shared = useMeta(isShared);
  const edit = useFocusAfterChange(view);
  return (
    <footer className="actions">
      <Versions view={view} />
      <CopyButton text={() => textOf(store.message(view.id) ?? view)} label={t.copyMessage} testId="copy" />
      {!shared && (
        <>
          <button
            type="button"
            className="quiet"
            data-testid="edit"
            aria-label={t.editMessage}
            title={t.editMessage}
            onClick={onEdit}
            ref={edit}
          >
            <Pencil size={14} />
          </button>
          <DeleteButton view={view} />
          <More view={view} />
        </>
      )}
    </footer>
  );
}

// The version that somebody went to with the button that goes so many steps.
const wanted = new WeakMap<TranscriptStore, { id: string; step: number }>();

// The button that was pressed goes with its message: the one of the message in its place gets the focus.
function useKeptFocus(id: string) {
  const { store } = useChat();
  const buttons = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const gone = wanted.get(store);
    if (!buttons.current || gone?.id !== id) return;
    wanted.delete(store);
    const { activeElement } = document;
    if (activeElement !== document.body && !activeElement?.closest(".branch")) return;
    const both = [...buttons.current.querySelectorAll("button")];
    const [same, other] = gone.step > 0 ? both.toReversed() : both;
    (same.disabled ? other : same).focus({ preventScroll: true });
  }, [store, id]);
  return buttons;
}

/** Which of several versions is shown, and the way to the others. */
export function Versions({ view: { id, versions } }: { view: MessageView }) {
  const t = useStrings().transcript;
  const { attempt, scroll, store } = useChat();
  const buttons = useKeptFocus(id);
  const hidden = useMeta(({ shared, compared }) => shared || compared.includes(id));
  if (!versions || versions.length < 2 || hidden) return null;
  const index = versions.indexOf(id);
  const go = (step: number) => {
    scroll.release();
    wanted.set(store, { id: versions[index + step], step });
    void attempt(() => request("POST", messagePath(versions[index + step], "/select")));
  };
  return (
    <span className="branch" ref={buttons} data-testid="branch" data-index={index + 1} data-count={versions.length}>
      <button
        type="button"
        className="quiet"
        data-testid="branch-previous"
        aria-label={t.previousVersion}
        disabled={index <= 0}
        onClick={() => go(-1)}
      >
        <ChevronLeft size={14} />
      </button>
      <span>{`${index + 1} / ${versions.length}`}</span>
      <button
        type="button"
        className="quiet"
        data-testid="branch-next"
        aria-label={t.nextVersion}
        disabled={index >= versions.length - 1}
        onClick={() => go(1)}
      >
        <ChevronRight size={14} />
      </button>
    </span>
  );
}

/** Answers again, by the model of the conversation or by another one. */
export function Regenerate({ view }: { view: MessageView }) {
  const t = useStrings().transcript;
  const chat = useChat();
  const models = useShared(chat.models);
  const { confirm, dialog } = useConfirmModel();
  // Not disabled meanwhile: that would change every older message with each answer.
  const again = (model: string) => {
    // Answers that stand side by side do not wait for each other.
    if (!chat.store.meta().compared.includes(view.id) && sayBusy(chat)) return;
    const clientId = chat.requestId(`regenerate ${model} ${view.versions?.length ?? 1}`, view.id);
    chat.scroll.stick();
    void chat.attempt(() =>
      request("POST", messagePath(view.id, "/regenerate"), { model, client_message_id: clientId }),
    );
  };
  const choose = (event: ChangeEvent<HTMLSelectElement>) => {
    const model = event.target.value;
    event.target.value = "";
    confirm(model, () => again(model));
  };
  return (
    <span className="regenerate">
      <button
        type="button"
        className="quiet"
        data-testid="regenerate"
        aria-label={t.answerAgain}
        title={t.answerAgain}
        onClick={() => again(modelFor(chat, view))}
      >
        <RefreshCw size={14} />
      </button>
      <select
        className="quiet"
        aria-label={t.answerAgainWith}
        title={t.answerAgainWith}
        data-testid="regenerate-with"
        value=""
        onChange={choose}
      >
        <option value="" disabled hidden />
        {groupByProvider(models).map((group) => (
          <optgroup key={group.label} label={group.label}>
            {group.models.map((model) => (
              <option key={model.id} value={model.id} disabled={!!model.unavailable}>
                {model.label}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
      {dialog}
    </span>
  );
}

export function DeleteButton({ view }: { view: MessageView }) {
  const t = useStrings().transcript;
  const remove = useDelete(view);
  return (
    <button
      type="button"
      className="quiet"
      data-testid="delete-message"
      aria-label={t.deleteMessage}
      title={t.deleteMessage}
      onClick={() => remove(false)}
    >
      <Trash2 size={14} />
    </button>
  );
}

function useDelete({ id }: MessageView) {
  const chat = useChat();
  return async (following: boolean) => {
    const path = messagePath(id, following ? "?following=true" : "");
    const undo = () => request("POST", messagePath(id, "/restore"));
    if (await chat.attempt(() => request("DELETE", path))) {
      chat.undo.set({
        text: following ? strings().transcript.deletedFromThere : strings().transcript.messageDeleted,
        action: undo,
      });
    }
  };
}

/** Rarer actions. */
export function More({ view }: { view: MessageView }) {
  const t = useStrings().transcript;
  const { attempt, scroll, store } = useChat();
  const remove = useDelete(view);
  const navigate = useNavigate();
  const fork = () =>
    attempt(async () => {
      const { conversation_id } = await request<{ conversation_id: string }>("POST", messagePath(view.id, "/fork"));
      navigate(`/c/${conversation_id}`);
    });
  const items = () => {
    // The answer that grows below does not scroll it away.
    if (store.meta().answering) scroll.release();
    return [
      { label: t.fork, icon: GitFork, testId: "fork", action: () => void fork() },
      { label: t.copyText, icon: FileText, action: () => void copyText(plainText(view.id) || textOf(view)) },
      {
        label: t.deleteFromHere,
        icon: Scissors,
        testId: "delete-from-here",
        danger: true,
        action: () => void remove(true),
      },
    ];
  };
  return <Menu label={t.more} items={items} testId="message-menu" />;
}

// As it is read: without the marks of Markdown.
function plainText(id: string): string {
  const texts = [...(elementOf(id)?.querySelectorAll<HTMLElement>(".answer, .question .text") ?? [])];
  // biome-ignore lint/performance/useDomNodeTextContent: with the line breaks of the layout
  return texts.map((text) => text.innerText).join("\n");
}

/** The model that answers again: that of the conversation, but among answers side by side each keeps its own. */
export function modelFor({ model, store }: Chat, view: MessageView): string {
  return store.meta().compared.includes(view.id) ? view.model : model.get() || view.model;
}

/** Whether an answer is being written here; then it is said. */
export function sayBusy({ store }: Chat): boolean {
  const { answering } = store.meta();
  if (answering) store.feed({ k: "say", text: strings().transcript.busy, n: Date.now() });
  return answering;
}

// What is being written in place of a question is there again after a reload, and when another tab showed another branch
// meanwhile.
const keyOf = (id: string) => `edit ${id}`;

/** Whether a question was being edited when it was last shown in this tab. */
export const isBeingEdited = (id: string): boolean => visit.get(keyOf(id)) !== null;

/** The text of a question while it is edited. */
export function EditBox({ view, onClose }: { view: MessageView; onClose: () => void }) {
  const t = useStrings().transcript;
  const chat = useChat();
  const answering = useMeta((meta) => meta.answering);
  const area = useRef<HTMLTextAreaElement>(null);
  const [clientId] = useState(newId);
  const [saving, setSaving] = useState(false);
  const close = () => {
    visit.set(keyOf(view.id), null);
    onClose();
  };
  const [again] = useState(() => isBeingEdited(view.id));
  useEffect(() => {
    if (again) return; // the focus is where the person is now
    area.current?.focus();
    area.current?.setSelectionRange(area.current.value.length, area.current.value.length);
  }, [again]);
  const save = async () => {
    const message = area.current?.value ?? "";
    if (!message.trim() || saving) return;
    if (sayBusy(chat)) return;
    setSaving(true);
    changed.set(chat.store, view.id);
    const model = chat.model.get() || undefined;
    const body = { message, model, client_message_id: clientId };
    if (await chat.attempt(() => request("POST", messagePath(view.id, "/edit"), body))) {
      chat.scroll.stick();
      close();
    } else {
      changed.delete(chat.store);
      setSaving(false);
    }
  };
  const pressed = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.nativeEvent.isComposing || event.nativeEvent.keyCode === 229) return;
    if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
    if (event.key === "Enter" && !event.shiftKey && !event.altKey && !hasFingersOnly()) {
      event.preventDefault();
      void save();
    }
  };
  return (
    <div className="edit">
      <textarea
        ref={area}
        className="field"
        data-testid="edit-box"
        aria-label={t.editMessage}
        rows={3}
        dir="auto"
        defaultValue={visit.get<string>(keyOf(view.id)) ?? textOf(view)}
        onInput={({ currentTarget }) => isTemporary(view.id) || visit.set(keyOf(view.id), currentTarget.value)}
        onKeyDown={pressed}
      />
      <div className="dialog-buttons">
        <button type="button" className="button" onClick={close}>
          {t.cancel}
        </button>
        <button
          type="button"
          className="button primary"
          data-testid="edit-save"
          disabled={saving || answering}
          onClick={() => void save()}
        >
          {t.send}
        </button>
      </div>
    </div>
  );
}
