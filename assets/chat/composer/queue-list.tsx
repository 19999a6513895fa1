// The messages that follow the answer under way: shown, changed, removed, or sent at once.

import { Pencil, SendHorizontal, X } from "lucide-react";
import { useStrings } from "../common/strings";
import type { Queued } from "./queue";

interface Props {
  items: Queued[];
  onEdit: (item: Queued) => void;
  onRemove: (item: Queued) => void;
  onNow: (item: Queued) => void;
}

export function QueueList({ items, onEdit, onRemove, onNow }: Props) {
  const t = useStrings().composer;
  if (!items.length) return null;
  return (
    <ul className="queue" aria-label={t.following}>
      {items.map((item) => (
        <li key={item.id} data-testid="queued">
          <span className="text" dir="auto">
            {[item.text, ...(item.files ?? []).map(({ name }) => `[${name}]`)].join(" ").trim()}
          </span>
          <button type="button" className="quiet" data-testid="send-now" title={t.nowHint} onClick={() => onNow(item)}>
            <SendHorizontal size={14} />
            {t.now}
          </button>
          <button type="button" className="quiet" aria-label={t.edit} title={t.edit} onClick={() => onEdit(item)}>
            <Pencil size={14} />
          </button>
          <button type="button" className="quiet" aria-label={t.remove} title={t.remove} onClick={() => onRemove(item)}>
            <X size={14} />
          </button>
        </li>
      ))}
    </ul>
  );
}
