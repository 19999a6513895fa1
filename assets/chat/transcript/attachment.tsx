// An attached picture or file of a message. An uploaded one has an address; its bytes are never in a frame.

import { FileText } from "lucide-react";
import { useState } from "react";
import { useChat } from "../chat";
import { basePath } from "../common/base-path";
import { PICTURE_TYPES } from "../common/picture-types";
import { useStrings } from "../common/strings";
import type { FilePart, ImagePart } from "../store/frames";

export function Attachment({ part }: { part: ImagePart | FilePart }) {
  const t = useStrings().transcript;
  const { store } = useChat();
  const [gone, setGone] = useState(false);
  const name = part.name || t.attachment;
  const shown = part.type === "image" && PICTURE_TYPES.has(part.media_type);
  if (!part.file_id) {
    if (!shown || !part.data) return <span className="attached">{name}</span>;
    return <img className="attached" src={`data:${part.media_type};base64,${part.data}`} alt={name} />;
  }
  const { shared, conversation } = store.meta();
  const place = shared ? `/api/shares/${encodeURIComponent(conversation ?? "")}/files/` : "/api/files/";
  const address = basePath() + place + encodeURIComponent(part.file_id);
  if (gone) return <span className="attached">{t.attachmentGone(name)}</span>;
  if (shown) {
    return (
      <a className="attached" href={address} target="_blank" rel="noopener noreferrer">
        <img src={address} alt={name} width={part.width} height={part.height} onError={() => setGone(true)} />
      </a>
    );
  }
  const pages = part.type === "file" && part.pages ? ` (${t.pages(part.pages)})` : "";
  return (
    <a className="attached file" href={address} download={name}>
      <FileText size={16} aria-hidden="true" />
      {name + pages}
    </a>
  );
}
