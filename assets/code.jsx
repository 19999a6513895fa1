// A block of code: its language, a copy button, and, once it is finished, colours.

import { createElement, useEffect, useState } from "react";

import { CopyButton } from "./copy.jsx";
import { highlightable, highlighted } from "./highlight.js";

export function CodeBlock({ language, code, open = false }) {
  const coloured = useColoured(language, code, open);
  return (
    <figure className="code">
      <figcaption>
        <span className="language">{language || "text"}</span>
        <CopyButton text={() => code} label="Copy code" />
      </figcaption>
      <pre tabIndex={0} dir="ltr">
        <code>{coloured ?? code}</code>
      </pre>
    </figure>
  );
}

// What Markdown makes of code that is no block of its own (indented, or within a list).
export function CodeOf({ node }) {
  const code = node.children.find((child) => child.tagName === "code");
  const language = code?.properties?.className?.[0]?.replace(/^language-/, "") ?? "";
  const text = code?.children[0]?.value ?? "";
  return <CodeBlock language={language} code={text.replace(/\n$/, "")} />;
}

function useColoured(language, code, open) {
  const [result, setResult] = useState(null);
  useEffect(() => {
    if (open || !language || !highlightable(language, code)) return;
    let wanted = true;
    highlighted(language, code).then((nodes) => {
      if (wanted && nodes) setResult({ code, language, elements: nodes.map(element) });
    });
    return () => {
      wanted = false;
    };
  }, [language, code, open]);
  return result?.code === code && result.language === language ? result.elements : null;
}

function element(node, key) {
  if (node.type === "text") return node.value;
  return createElement("span", { key, className: node.properties.className.join(" ") }, ...node.children.map(element));
}
