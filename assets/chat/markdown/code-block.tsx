// A block of code: its language, a copy button, and, once it is complete, colours, its preview, or what it draws.

import type { Element, RootContent } from "hast";
import { Eye } from "lucide-react";
import { createContext, createElement, type ReactNode, useContext, useEffect, useState } from "react";
import { flushSync } from "react-dom";
import { useChat } from "../chat";
import { CopyButton } from "../common/copy-button";
import { keepSelection } from "../common/keep-selection";
import { useStrings } from "../common/strings";
import { Diagram } from "./diagram";
import { canHighlight, highlight } from "./highlight";

/** Whether the block of text that holds it may still grow. */
export const Growing = createContext(false);

interface Props {
  language: string;
  code: string;
  /** Whether it is still being written. */
  open?: boolean;
}

export function CodeBlock({ language, code, open = false }: Props) {
  if (language.toLowerCase() === "mermaid" && !open && code.trim()) return <Diagram key={code} source={code} />;
  return <CodeFigure language={language} code={code} open={open} />;
}

export function CodeFigure({ language, code, open = false, note }: Props & { note?: string }) {
  const t = useStrings().markdown;
  const coloured = useColours(language, code, open);
  return (
    <figure className="code">
      <figcaption>
        <span className="language">{language || "text"}</span>
        {!open && canPreview(language, code) && <PreviewButton language={language} code={code} />}
        <CopyButton text={() => code} label={t.copyCode} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it can be scrolled with the keyboard */}
      <pre tabIndex={0} dir="ltr">
        <code>{coloured ?? code}</code>
      </pre>
      {note && <p className="code-note">{note}</p>}
    </figure>
  );
}

function canPreview(language: string, code: string): boolean {
  const name = language.toLowerCase();
  return /^(?:html?|svg|markdown|md)$/.test(name) || (name === "xml" && /^\s*(?:<\?xml[^>]*>\s*)?<svg[\s>]/.test(code));
}

function PreviewButton({ language, code }: { language: string; code: string }) {
  const { preview } = useChat();
  const t = useStrings().markdown;
  return (
    <button
      type="button"
      className="quiet icon-only"
      data-testid="preview"
      aria-label={t.preview}
      title={t.preview}
      onClick={() => preview.set({ language: language.toLowerCase(), code })}
    >
      <Eye size={16} />
    </button>
  );
}

/** Code that is no top-level fenced block: indented, or within a list. */
export function NestedCodeBlock({ node }: { node?: Element }) {
  const open = useContext(Growing);
  const code = node?.children.find((child) => child.type === "element" && child.tagName === "code") as
    | Element
    | undefined;
  const [className] = (code?.properties.className ?? []) as string[];
  const content = code?.children[0];
  const text = content?.type === "text" ? content.value : "";
  const language = className?.replace(/^language-/, "") ?? "";
  return <CodeBlock language={language} code={text.replace(/\n$/, "")} open={open} />;
}

interface Coloured {
  code: string;
  language: string;
  elements: ReactNode[];
}

function useColours(language: string, code: string, open: boolean): ReactNode[] | null {
  const [result, setResult] = useState<Coloured | null>(null);
  useEffect(() => {
    if (open || !language || !canHighlight(language, code)) return;
    let cancelled = false;
    void highlight(language, code).then((nodes) => {
      if (cancelled || !nodes) return;
      keepSelection(() => flushSync(() => setResult({ code, language, elements: nodes.map(toReact) })));
    });
    return () => {
      cancelled = true;
    };
  }, [language, code, open]);
  return result?.code === code && result.language === language ? result.elements : null;
}

function toReact(node: RootContent, key: number): ReactNode {
  if (node.type === "text") return node.value;
  if (node.type !== "element") return null;
  const className = (node.properties.className as string[]).join(" ");
  return createElement("span", { key, className }, ...node.children.map(toReact));
}
