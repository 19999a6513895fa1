// What was just done, and how to undo it.

import { Undo2, X } from "lucide-react";
import { useEffect } from "react";
import { useChat } from "../chat";
import { useShared } from "../common/shared-value";
import { useStrings } from "../common/strings";

const SHOWN_MS = 20_000;

export function UndoBar() {
  const t = useStrings().transcript;
  const chat = useChat();
  const undo = useShared(chat.undo);
  useEffect(() => {
    if (!undo) return;
    const timer = setTimeout(() => chat.undo.set(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [chat, undo]);
  if (!undo) return null;
  const click = () => {
    chat.undo.set(null);
    void chat.attempt(undo.action);
  };
  return (
    <div className="undo" role="status">
      <span>{undo.text}</span>
      <button type="button" className="quiet" data-testid="undo" onClick={click}>
        <Undo2 size={14} />
        {t.undo}
      </button>
      <button type="button" className="quiet" aria-label={t.dismiss} onClick={() => chat.undo.set(null)}>
        <X size={14} />
      </button>
    </div>
  );
}
