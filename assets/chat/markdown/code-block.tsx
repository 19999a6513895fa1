// A block of code: its language, a copy button, and, once it is complete, colours.

import type { Element, RootContent } from "hast";
import { createElement, type ReactNode, useEffect, useState } from "react";
import { flushSync } from "react-dom";
import { CopyButton } from "../common/copy-button";
import { keepSelection } from "../common/keep-selection";
import { canHighlight, highlight } from "./highlight";

interface Props {
  language: string;
  code: string;
  /** Whether it is still being written. */
  open?: boolean;
}

export function CodeBlock({ language, code, open = false }: Props) {
  const coloured = useColours(language, code, open);
  return (
    <figure className="code">
      <figcaption>
        <span className="language">{language || "text"}</span>
        <CopyButton text={() => code} label="Copy code" />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it can be scrolled with the keyboard */}
      <pre tabIndex={0} dir="ltr">
        <code>{coloured ?? code}</code>
      </pre>
    </figure>
  );
}

/** Code that is no top-level fenced block: indented, or within a list. */
export function NestedCodeBlock({ node }: { node?: Element }) {
  const code = node?.children.find((child) => child.type === "element" && child.tagName === "code") as
    | Element
    | undefined;
  const [className] = (code?.properties.className ?? []) as string[];
  const content = code?.children[0];
  const text = content?.type === "text" ? content.value : "";
  return <CodeBlock language={className?.replace(/^language-/, "") ?? ""} code={text.replace(/\n$/, "")} />;
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
