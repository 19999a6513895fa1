// The page's Markdown pipeline as HTML, for tests. The libraries are those of the built page; not available where it was never built.
import { existsSync } from "node:fs";

import { allowed, dropStubs, hardening, htmlAsText, lineBreaks, safeLinks, toHtmlTree } from "../../assets/markdown.js";

const modules = new URL("../../.web/node_modules/", import.meta.url).pathname;

export const available = existsSync(`${modules}streamdown/package.json`);

// {html(markdown), remend}
export async function pipeline() {
  const { unified } = await import(`${modules}unified/index.js`);
  const { default: parse } = await import(`${modules}remark-parse/index.js`);
  const { default: gfm } = await import(`${modules}remark-gfm/index.js`);
  const { default: rehype } = await import(`${modules}remark-rehype/index.js`);
  const { default: sanitize } = await import(`${modules}rehype-sanitize/index.js`);
  const { harden } = await import(`${modules}rehype-harden/dist/index.js`);
  const { default: remend } = await import(`${modules}remend/dist/index.js`);
  const processor = unified()
    .use(parse)
    .use([[gfm, { singleTilde: false }], htmlAsText, lineBreaks, dropStubs])
    .use(rehype, toHtmlTree)
    .use([safeLinks, [sanitize, allowed], [harden, hardening]]);
  return { html: (text) => written(processor.runSync(processor.parse(text), text)), remend };
}

// Enough of HTML to compare trees: order, names, attributes, text. White space between blocks does not count.
function written(node) {
  if (node.type === "text") return node.value.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  if (node.type === "root") {
    return node.children.filter((child) => child.type !== "text" || child.value.trim()).map(written).join("\n");
  }
  const children = (node.children ?? []).map(written).join("");
  const attributes = Object.entries(node.properties ?? {}).map(([name, value]) => ` ${name}="${value}"`);
  return `<${node.tagName}${attributes.join("")}>${children}</${node.tagName}>`;
}
