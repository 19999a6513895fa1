// The link to a read-only snapshot of a conversation: made, copied, taken back.

import { useEffect, useState } from "react";
import { useChat } from "../chat";
import { CopyButton } from "../common/copy-button";
import { Dialog } from "../common/dialog";
import { conversationPath, request } from "../common/request";
import { useStrings } from "../common/strings";

export function ShareDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useStrings().shell;
  const { attempt } = useChat();
  const [link, setLink] = useState("");
  useEffect(() => {
    void attempt(async () => {
      const { path } = await request<{ path: string }>("POST", conversationPath(id, "/share"));
      setLink(location.origin + path);
    });
  }, [attempt, id]);
  const stop = async () => {
    if (await attempt(() => request("DELETE", conversationPath(id, "/share")))) onClose();
  };
  return (
    <Dialog title={t.share} onClose={onClose}>
      <p>{t.shareExplained}</p>
      <p className="share-link">
        <input className="field" data-testid="share-link" aria-label={t.link} readOnly value={link} />
        <CopyButton text={() => link} label={t.copyLink} />
      </p>
      <div className="dialog-buttons">
        <button type="button" className="button" data-testid="unshare" onClick={() => void stop()}>
          {t.takeLinkBack}
        </button>
        <button type="button" className="button primary" onClick={onClose}>
          {t.done}
        </button>
      </div>
    </Dialog>
  );
}
