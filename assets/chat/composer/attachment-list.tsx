// The files of the message that is being written: chosen, dropped or pasted, shown, and removed.

import "./attachments.css";

import { FileText, Paperclip, X } from "lucide-react";
import { type RefObject, useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useChat } from "../chat";
import { usePlace } from "../common/address";
import { basePath } from "../common/base-path";
import { newId } from "../common/new-id";
import { useShared } from "../common/shared-value";
import { strings, useStrings } from "../common/strings";
import { type Attachment, Attachments, MAX_FILES } from "./attachments";
import { discard, upload } from "./upload";

/** The files of this page's draft. `onProblem` is told what could not be taken; `onSettled`, that all uploads ended. */
export function useAttachments(onProblem: (text: string) => void, onSettled: () => void) {
  const { temporary } = useChat();
  const place = usePlace();
  const [attachments] = useState(() => new Attachments({ newId, discard, upload, isTemporary: temporary.get }));
  const items = useSyncExternalStore(attachments.subscribe, attachments.list, attachments.list);
  useEffect(() => attachments.at(place), [attachments, place]);
  const add = useCallback(
    (files: File[]) => {
      const left = attachments.add(files);
      if (left) onProblem(strings().composer.tooManyFiles(MAX_FILES, left));
    },
    [attachments, onProblem],
  );
  useDrop(add);
  const uploading = items.some((item) => item.state === "uploading");
  useEffect(() => {
    if (!uploading) onSettled();
  }, [uploading, onSettled]);
  return { attachments, items, add };
}

// A file that is dropped anywhere on the page is attached, and never opened in place of the page.
function useDrop(add: (files: File[]) => void): void {
  const { store } = useChat();
  useEffect(() => {
    const hasFiles = (event: DragEvent) => !!event.dataTransfer?.types.includes("Files");
    const over = (event: DragEvent) => {
      if (!hasFiles(event) || !event.dataTransfer) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
    };
    const drop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      if (!store.meta().shared) add([...(event.dataTransfer?.files ?? [])]);
    };
    addEventListener("dragover", over);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("drop", drop);
    };
  }, [add, store]);
}

/** The files of a paste, unless it has text too, as one from a word processor has. */
export function pastedFiles(data: DataTransfer): File[] {
  return data.types.includes("text/plain") ? [] : [...data.files];
}

export function AttachButton({ add, area }: { add: (files: File[]) => void; area: RefObject<HTMLElement | null> }) {
  const t = useStrings().composer;
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button
        type="button"
        className="icon attach"
        aria-label={t.attach}
        title={t.attachHint}
        onClick={() => input.current?.click()}
      >
        <Paperclip size={16} />
      </button>
      <input
        ref={input}
        className="sr-only"
        type="file"
        multiple
        tabIndex={-1}
        aria-hidden="true"
        data-testid="attach"
        onChange={({ currentTarget }) => {
          add([...(currentTarget.files ?? [])]);
          currentTarget.value = ""; // the same file again is a change again
          area.current?.focus();
        }}
      />
    </>
  );
}

export function AttachmentList({ items, onRemove }: { items: Attachment[]; onRemove: (key: string) => void }) {
  const t = useStrings().composer;
  if (!items.length) return null;
  return (
    <ul className="attachments" aria-label={t.attached}>
      {items.map((item) => (
        <li key={item.key} data-testid="attachment" data-state={item.state} title={item.error ?? item.name}>
          <Thumbnail item={item} />
          <span className="name">{item.name}</span>
          {item.error && (
            <span className="problem" role="alert">
              {item.error}
            </span>
          )}
          {item.state === "uploading" && <progress value={item.progress} aria-label={t.uploading(item.name)} />}
          <button
            type="button"
            className="quiet"
            aria-label={t.removeFile(item.name)}
            title={t.remove}
            onClick={() => onRemove(item.key)}
          >
            <X size={14} />
          </button>
        </li>
      ))}
    </ul>
  );
}

function Thumbnail({ item }: { item: Attachment }) {
  if (!item.file || !item.isPicture) return <FileText size={16} aria-hidden="true" />;
  return <img src={`${basePath()}/api/files/${item.file.id}`} alt="" />;
}

/** Says before sending that a model which is asked cannot see the attached pictures. */
export function BlindModel({ items }: { items: Attachment[] }) {
  const t = useStrings().composer;
  const { model, models, compare } = useChat();
  const asked = [useShared(model), ...useShared(compare)];
  const known = useShared(models).find(({ id, images }) => asked.includes(id) && !images);
  if (!known || !items.some((item) => item.isPicture && item.state !== "error")) return null;
  return (
    <p className="blind" role="status" data-testid="cannot-see">
      {t.blind(known.label)}
    </p>
  );
}
