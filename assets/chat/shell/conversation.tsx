// One conversation in the list: its link, and the menu of what can be done with it.

import {
  Archive,
  ArchiveRestore,
  Download,
  FileJson,
  Link as LinkIcon,
  Pencil,
  Pin,
  PinOff,
  Trash2,
} from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { Link, useNavigate } from "react-router";
import { useChat } from "../chat";
import { usePlace } from "../common/address";
import { basePath } from "../common/base-path";
import { useFocusBack } from "../common/focus-back";
import { Menu } from "../common/menu";
import { conversationPath, request } from "../common/request";
import { useStrings } from "../common/strings";
import type { ConversationRow } from "../store/frames";
import { ShareDialog } from "./share-dialog";

interface Props {
  row: ConversationRow;
  current: boolean;
  close: () => void;
  onChange: (id: string, change: Partial<ConversationRow> | null) => void;
  archived?: boolean;
}

export function Conversation({ row, current, close, onChange, archived = false }: Props) {
  const t = useStrings().shell;
  const [renaming, setRenaming] = useState(false);
  const [sharing, setSharing] = useState(false);
  const items = useItems(row, archived, onChange, { rename: () => setRenaming(true), share: () => setSharing(true) });
  const link = useRef<HTMLAnchorElement>(null);
  useFocusBack(renaming, () => link.current);
  if (renaming) return <RenameBox row={row} onChange={onChange} onClose={() => setRenaming(false)} />;
  return (
    <div className="conversation-row" data-current={current}>
      <Link
        ref={link}
        to={`/c/${row.id}`}
        className="conversation"
        data-testid="conversation-item"
        data-conversation-id={row.id}
        data-answering={row.answering}
        data-waiting={!!row.waiting}
        data-pinned={!!row.pinned}
        aria-current={current ? "page" : undefined}
        title={row.title}
        onClick={close}
      >
        <span className="title" dir="auto">
          {row.title || t.newChat}
        </span>
        {row.waiting ? (
          <span className="needs-you">{t.needsYou}</span>
        ) : (
          row.answering && <span className="dot" role="img" aria-label={t.answering} />
        )}
      </Link>
      <Menu label={t.actionsFor(row.title || t.newChat)} testId="conversation-menu" items={items} />
      {sharing && <ShareDialog id={row.id} onClose={() => setSharing(false)} />}
    </div>
  );
}

function useItems(
  row: ConversationRow,
  archived: boolean,
  onChange: Props["onChange"],
  open: { rename: () => void; share: () => void },
) {
  const t = useStrings().shell;
  const chat = useChat();
  const navigate = useNavigate();
  const place = usePlace();
  const path = conversationPath(row.id);
  const file = `${basePath()}${path}/export?format=`;
  const patch = async (body: object, change: Partial<ConversationRow> | null) => {
    const done = await chat.attempt(() => request("PATCH", path, body));
    if (done) onChange(row.id, change);
    return done;
  };
  const archive = async (archived: boolean) => {
    if (!(await patch({ archived }, null)) || !archived) return;
    chat.undo.set({ text: t.archived, action: () => request("PATCH", path, { archived: false }) });
  };
  const remove = async () => {
    const here = place === `/c/${row.id}`;
    if (!(await chat.attempt(() => request("DELETE", path)))) return;
    onChange(row.id, null);
    if (here) navigate("/");
    chat.undo.set({
      text: t.deleted,
      action: async () => {
        await request("POST", `${path}/restore`);
        if (here) navigate(`/c/${row.id}`);
      },
    });
  };
  const pinned = !!row.pinned;
  return () => [
    { label: t.rename, icon: Pencil, testId: "rename", action: open.rename },
    {
      label: pinned ? t.unpin : t.pin,
      icon: pinned ? PinOff : Pin,
      testId: "pin",
      action: () => void patch({ pinned: !pinned }, { pinned: !pinned }),
    },
    {
      label: archived ? t.unarchive : t.toArchive,
      icon: archived ? ArchiveRestore : Archive,
      testId: "archive",
      action: () => void archive(!archived),
    },
    { label: t.share, icon: LinkIcon, testId: "share", action: open.share },
    { label: t.exportMarkdown, icon: Download, testId: "export", href: `${file}markdown` },
    { label: t.exportJson, icon: FileJson, testId: "export-json", href: `${file}json` },
    { label: t.delete, icon: Trash2, testId: "delete-conversation", danger: true, action: () => void remove() },
  ];
}

interface RenameProps {
  row: ConversationRow;
  onChange: Props["onChange"];
  onClose: () => void;
}

function RenameBox({ row, onChange, onClose }: RenameProps) {
  const t = useStrings().shell;
  const { attempt } = useChat();
  const box = useRef<HTMLInputElement>(null);
  const done = useRef(false);
  useEffect(() => {
    box.current?.focus({ preventScroll: true });
    box.current?.select();
  }, []);
  const save = async () => {
    const title = box.current?.value.trim();
    if (done.current) return;
    done.current = true;
    onClose();
    if (!title || title === row.title) return;
    if (await attempt(() => request("PATCH", conversationPath(row.id), { title }))) onChange(row.id, { title });
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter") void save();
    if (event.key !== "Escape") return;
    // It does not also stop the answer.
    event.preventDefault();
    done.current = true;
    onClose();
  };
  return (
    <input
      ref={box}
      className="field rename"
      data-testid="rename-box"
      aria-label={t.titleOfConversation}
      defaultValue={row.title}
      maxLength={200}
      dir="auto"
      onKeyDown={pressed}
      onBlur={() => void save()}
    />
  );
}
