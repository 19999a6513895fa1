// Asks before a conversation that stayed on this machine is sent to a remote model for the first time.

import { type ReactNode, useState } from "react";
import { useChat } from "../chat";
import { Dialog } from "../common/dialog";
import { useStrings } from "../common/strings";
import { leavesThisMachine } from "./models";

interface Asked {
  model: string;
  action: () => void;
}

/** `confirm` calls the action, at once or after the person agreed; `dialog` is to be rendered. */
export function useConfirmModel(): { confirm: (model: string, action: () => void) => void; dialog: ReactNode } {
  const t = useStrings().composer;
  const chat = useChat();
  const [asked, setAsked] = useState<Asked | null>(null);
  const confirm = (model: string, action: () => void) => {
    const { ids, model: current } = chat.store.meta();
    if (ids.length && leavesThisMachine(chat.models.get(), current, model)) setAsked({ model, action });
    else action();
  };
  if (!asked) return { confirm, dialog: null };
  const close = () => setAsked(null);
  const label = chat.models.get().find(({ id }) => id === asked.model)?.label ?? asked.model;
  const dialog = (
    <Dialog title={t.sendTo(label)} onClose={close}>
      <p>{t.sendToExplained(label)}</p>
      <div className="dialog-buttons">
        <button type="button" className="button" data-testid="stay-local" onClick={close}>
          {t.stay}
        </button>
        <button
          type="button"
          className="button primary"
          data-testid="confirm-remote"
          onClick={() => {
            close();
            asked.action();
          }}
        >
          {t.use(label)}
        </button>
      </div>
    </Dialog>
  );
  return { confirm, dialog };
}
