// The page's Markdown pipeline as HTML, with the page's plugins and the libraries' own processors.

import type { Nodes, Root } from "hast";
import { harden } from "rehype-harden";
import sanitize from "rehype-sanitize";
import gfm from "remark-gfm";
import parse from "remark-parse";
import rehype from "remark-rehype";
import { type Pluggable, unified } from "unified";

import {
  allowed,
  dropCitationMarkers,
  dropStubs,
  hardening,
  htmlAsText,
  lineBreaks,
  safeLinks,
  toHtmlTree,
} from "../../assets/chat/markdown/sanitize";
import { worldSyntax } from "../../assets/chat/markdown/syntax";
import { formulas } from "../../assets/chat/markdown/tex";

const processor = unified()
  .use(parse)
  .use([
    [gfm, { singleTilde: false }],
    htmlAsText,
    worldSyntax,
    dropCitationMarkers,
    lineBreaks,
    formulas,
    dropStubs,
  ] as Pluggable[])
  .use(rehype, toHtmlTree as object)
  .use([safeLinks, [sanitize, allowed], [harden, hardening]] as Pluggable[]);

export function html(text: string): string {
  return written(processor.runSync(processor.parse(text), text) as unknown as Root);
}

// Enough of HTML to compare trees: order, names, attributes, text. White space between blocks does not count.
function written(node: Nodes): string {
  if (node.type !== "element" && node.type !== "root" && node.type !== "text") return "";
  if (node.type === "text") return node.value.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  if (node.type === "root") {
    return node.children
      .filter((child) => child.type !== "text" || child.value.trim())
      .map(written)
      .join("\n");
  }
  const children = node.children.map(written).join("");
  const attributes = Object.entries(node.properties).map(([name, value]) => ` ${name}="${value}"`);
  return `<${node.tagName}${attributes.join("")}>${children}</${node.tagName}>`;
}
