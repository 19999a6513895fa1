// The messages that follow the answer under way: shown, changed, removed, or sent at once.

import { Pencil, SendHorizontal, X } from "lucide-react";
import type { Queued } from "./queue";

interface Props {
  items: Queued[];
  onEdit: (item: Queued) => void;
  onRemove: (item: Queued) => void;
  onNow: (item: Queued) => void;
}

export function QueueList({ items, onEdit, onRemove, onNow }: Props) {
  if (!items.length) return null;
  return (
    <ul className="queue" aria-label="Messages that follow">
      {items.map((item) => (
        <li key={item.id} data-testid="queued">
          <span className="text" dir="auto">
            {[item.text, ...(item.files ?? []).map(({ name }) => `[${name}]`)].join(" ").trim()}
          </span>
          <button
            type="button"
            className="quiet"
            data-testid="send-now"
            title="Stop the answer and send this now"
            onClick={() => onNow(item)}
          >
            <SendHorizontal size={14} />
            Now
          </button>
          <button type="button" className="quiet" aria-label="Edit" title="Edit" onClick={() => onEdit(item)}>
            <Pencil size={14} />
          </button>
          <button type="button" className="quiet" aria-label="Remove" title="Remove" onClick={() => onRemove(item)}>
            <X size={14} />
          </button>
        </li>
      ))}
    </ul>
  );
}
