// The messages that follow the answer under way: shown, changed, removed, or sent at once.

import { CornerDownRight, Pencil, SendHorizontal, X } from "lucide-react";
import { useCallback, useSyncExternalStore } from "react";
import { useChat } from "../chat";
import { useStrings } from "../common/strings";
import type { Queued } from "./queue";

interface Props {
  items: Queued[];
  onEdit: (item: Queued) => void;
  onRemove: (item: Queued) => void;
  onNow: (item: Queued) => void;
  /** `run`: the answer that ends for it. */
  onRound: (item: Queued, run: string) => void;
}

export function QueueList(props: Props) {
  return props.items.length ? <List {...props} /> : null;
}

function List({ items, onEdit, onRemove, onNow, onRound }: Props) {
  const t = useStrings().composer;
  const run = useAnswerWithTools();
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
          {run && !item.models && (
            <button
              type="button"
              className="quiet"
              data-testid="send-at-round"
              title={t.roundHint}
              onClick={() => onRound(item, run)}
            >
              <CornerDownRight size={14} />
              {t.round}
            </button>
          )}
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

// The last answer under way, once it has called a tool: such an answer can end between two rounds of tools.
function useAnswerWithTools(): string | undefined {
  const { store } = useChat();
  const id = useSyncExternalStore(store.subscribeMeta, () =>
    store.meta().ids.findLast((one) => store.message(one)?.running),
  );
  const subscribe = useCallback((listener: () => void) => store.subscribe(id ?? "", listener), [store, id]);
  const calls = useSyncExternalStore(
    subscribe,
    () => store.message(id ?? "")?.parts.some(({ type }) => type === "tool_call") ?? false,
  );
  return calls ? id : undefined;
}
