// Chats that are never stored: the switch of a new chat, and the note in one that is temporary.

import "./temporary.css";

import { MessageCircleDashed } from "lucide-react";
import { useEffect } from "react";
import { useLocation, useNavigate } from "react-router";
import { useChat } from "../chat";
import { useAddress } from "../common/address";
import { conversationPath, request } from "../common/request";
import { useShared } from "../common/shared-value";
import { useStrings } from "../common/strings";
import { isTemporary } from "../common/temporary-ids";

/** The state of a visit of the empty page that begins as a temporary chat. */
export const TEMPORARY = { temporary: true };

/** Keeps whether the chat that is shown is temporary. Called after what saves the draft of the one that is left. */
export function useTemporary(): void {
  const { temporary } = useChat();
  const { id } = useAddress();
  const { key, state } = useLocation();
  useEffect(() => temporary.set(id ? isTemporary(id) : !!state?.temporary), [temporary, id, state]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the command again, after it was switched off
  useEffect(() => {
    if (!id && state?.temporary) temporary.set(true);
  }, [temporary, id, key, state]);
}

/** Whether the next chat is temporary can be chosen only before its first message. */
export function TemporarySwitch() {
  const t = useStrings().composer;
  const { temporary } = useChat();
  const { id } = useAddress();
  const on = useShared(temporary);
  if (id) return null;
  return (
    <button
      type="button"
      className="icon temporary-switch"
      data-testid="temporary"
      aria-label={t.temporary}
      title={t.temporaryHint}
      aria-pressed={on}
      onClick={() => temporary.set(!on)}
    >
      <MessageCircleDashed size={16} />
    </button>
  );
}

export function TemporaryNote() {
  const t = useStrings().composer;
  const { attempt, temporary } = useChat();
  const { id } = useAddress();
  const navigate = useNavigate();
  const on = useShared(temporary);
  if (!on) return null;
  const end = async () => {
    if (id && (await attempt(() => request("DELETE", conversationPath(id))))) navigate("/");
  };
  return (
    <div className="temporary-note" data-testid="temporary-note">
      <p>
        <b>{t.temporaryTitle}</b> {t.temporaryNote}
      </p>
      {id && (
        <button type="button" className="button" data-testid="end-temporary" onClick={() => void end()}>
          {t.deleteNow}
        </button>
      )}
    </div>
  );
}
