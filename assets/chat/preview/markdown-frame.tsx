// Markdown as an answer shows it, as a document of its own.

import { useEffect, useState } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { BlockSplitter } from "../markdown/block-splitter";
import { Blocks } from "../markdown/blocks";
import { Frame, page } from "./preview";

const STYLES = `
:root{color-scheme:light}
body{max-width:46rem;margin:0 auto;padding:1.5rem;font:16px/1.65 ui-sans-serif,system-ui,sans-serif;color:#211f1c;background:#fff;overflow-wrap:anywhere}
[data-level="1"]{font-size:1.75rem}[data-level="2"]{font-size:1.375rem}[data-level="3"]{font-size:1.125rem}
pre{overflow:auto;padding:.875rem;background:#f6f4f0;border-radius:.5rem}
code{font-family:ui-monospace,monospace;font-size:.875em}
figure{margin:1em 0}figcaption,button,.katex-html{display:none}
table{border-collapse:collapse}th,td{padding:.375rem .75rem;border:1px solid #cfc9bf;text-align:start}
blockquote{margin-inline:0;padding-inline-start:1rem;border-inline-start:3px solid #cfc9bf}
.tex-display{display:block;text-align:center}`;
const PATIENCE_MS = 3000;

export default function MarkdownFrame({ text }: { text: string }) {
  const [html, setHtml] = useState("");
  useEffect(() => {
    let gone = false;
    void rendered(text).then((result) => {
      if (!gone) setHtml(result);
    });
    return () => {
      gone = true;
    };
  }, [text]);
  return html ? <Frame document={page(html, STYLES)} /> : null;
}

// The elements of an answer, once its formulas are typeset.
async function rendered(text: string): Promise<string> {
  const splitter = new BlockSplitter();
  splitter.push(text);
  splitter.end();
  const place = document.createElement("div");
  const root = createRoot(place);
  // Within an effect React would render it later.
  await new Promise((resolve) => setTimeout(resolve));
  await new Promise<void>((whole) => {
    flushSync(() => root.render(<Blocks splitter={splitter} open={false} onWhole={whole} />));
  });
  const until = Date.now() + PATIENCE_MS;
  while (place.querySelector(".tex[data-state=pending]") && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const html = place.innerHTML;
  root.unmount();
  return html || " ";
}
