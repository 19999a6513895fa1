// What a block of code makes, beside the conversation: HTML, an SVG picture, or Markdown.
//
// A model wrote it, so it runs in a frame without an origin, whose policy lets no request out (`/api/frames/preview` on the
// server); this page sends it the document and takes nothing from it.

import "./preview.css";

import { X } from "lucide-react";
import { Suspense, useEffect, useRef } from "react";
import { type Previewed, useChat } from "../chat";
import { basePath } from "../common/base-path";
import { lazyPart } from "../common/lazy-part";
import { useShared } from "../common/shared-value";
import { useStrings } from "../common/strings";

// Has the Markdown of the conversation, which is loaded after the page.
const MarkdownFrame = lazyPart(() => import("./markdown-frame"));

export function Preview() {
  const { preview } = useChat();
  const shown = useShared(preview);
  if (!shown) return null;
  return <Panel key={shown.code} shown={shown} close={() => preview.set(null)} />;
}

function Panel({ shown, close }: { shown: Previewed; close: () => void }) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    button.current?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  const t = useStrings().markdown;
  const { language, code } = shown;
  const isMarkdown = language === "markdown" || language === "md";
  return (
    <aside
      className="preview"
      aria-label={t.preview}
      data-testid="preview-panel"
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        // It does not also stop the answer.
        event.preventDefault();
        close();
      }}
    >
      <header>
        <h2>{t.preview}</h2>
        <button
          type="button"
          className="icon"
          aria-label={t.closePreview}
          title={t.closePreview}
          onClick={close}
          ref={button}
        >
          <X size={18} />
        </button>
      </header>
      {isMarkdown ? (
        <Suspense>
          <MarkdownFrame text={code} />
        </Suspense>
      ) : (
        <Frame document={language === "html" || language === "htm" ? code : page(code)} />
      )}
    </aside>
  );
}

/** A frame with this document. */
export function Frame({ document }: { document: string }) {
  const t = useStrings().markdown;
  const frame = useRef<HTMLIFrameElement>(null);
  const sent = useRef(false);
  // Written to, the frame loads once more.
  const send = () => {
    if (sent.current) return;
    sent.current = true;
    frame.current?.contentWindow?.postMessage(HEAD + document, "*");
  };
  return (
    <iframe
      ref={frame}
      title={t.preview}
      sandbox="allow-scripts"
      referrerPolicy="no-referrer"
      src={`${basePath()}/api/frames/preview`}
      onLoad={send}
    />
  );
}

// A link would lead the frame away; in a new window it leads nowhere.
const HEAD = '<!doctype html><meta charset="utf-8"><base target="_blank">';

/** A document with this content. */
export function page(content: string, styles = ""): string {
  const centred = "body{margin:0;padding:1rem;box-sizing:border-box}svg{max-width:100%;height:auto}";
  return `<style>${styles || centred}</style><body>${content}</body>`;
}
