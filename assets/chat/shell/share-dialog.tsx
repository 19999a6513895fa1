// The link to a read-only snapshot of a conversation: made, copied, taken back.

import { useEffect, useState } from "react";
import { useChat } from "../chat";
import { CopyButton } from "../common/copy-button";
import { Dialog } from "../common/dialog";
import { conversationPath, request } from "../common/request";

export function ShareDialog({ id, onClose }: { id: string; onClose: () => void }) {
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
    <Dialog title="Share a link" onClose={onClose}>
      <p>Whoever has this link can read the conversation as it is now, and nothing that follows.</p>
      <p className="share-link">
        <input className="field" data-testid="share-link" aria-label="Link" readOnly value={link} />
        <CopyButton text={() => link} label="Copy link" />
      </p>
      <div className="dialog-buttons">
        <button type="button" className="button" data-testid="unshare" onClick={() => void stop()}>
          Take the link back
        </button>
        <button type="button" className="button primary" onClick={onClose}>
          Done
        </button>
      </div>
    </Dialog>
  );
}
