// What a model's Markdown may become: the plugins, the allow-list and the link rule of the pipeline.
//
// Model text is hostile. Rules:
//
// * There is no raw HTML: it is read as text, so nothing of it reaches the page as elements.
// * Elements and attributes are those of the allow-list; there is no image among them: an image becomes a link with its
//   alternative text, so nothing is fetched without a click.
// * Links are absolute http, https or mailto addresses of other origins than the page's own; everything else is plain text.

import { STUB } from "./references.js";

// Reads HTML as text. The two constructs are switched off in the parser.
export function htmlAsText() {
  const data = this.data();
  (data.micromarkExtensions ??= []).push({ disable: { null: ["htmlFlow", "htmlText"] } });
}

// `<br>` is the one tag that models need (in table cells): a line break.
export function lineBreaks() {
  return (tree) => eachParent(tree, (parent) => {
    if (!parent.children.some((node) => node.type === "text" && /<br\s*\/?>/i.test(node.value))) return;
    parent.children = parent.children.flatMap((node) => (node.type === "text" ? breaksOf(node) : [node]));
  });
}

// Definitions that were lent to a block by another one are not shown in it.
export function dropStubs() {
  return (tree) => {
    tree.children = tree.children.filter(
      (node) => node.type !== "footnoteDefinition" || node.children[0]?.children?.[0]?.value !== STUB,
    );
  };
}

// Images become links; links that may not be followed become plain text.
export function safeLinks() {
  const own = globalThis.location?.origin;
  return (tree) => eachParent(tree, (parent) => {
    parent.children = parent.children.map((node) => {
      if (node.tagName === "img") return imageLink(node.properties, own, parent.tagName === "a");
      if (node.tagName !== "a") return node;
      const href = safeAddress(node.properties.href, own);
      node.properties = href ? { href } : {};
      if (!href) node.tagName = "span";
      return node;
    });
  });
}

export function safeAddress(href, own) {
  if (typeof href !== "string") return null;
  try {
    const address = new URL(href);
    if (address.protocol === "mailto:") return address.href;
    return /^https?:$/.test(address.protocol) && address.origin !== own ? address.href : null;
  } catch {
    return null;
  }
}

const ALIGNED = ["align"];

export const allowed = {
  tagNames: [
    ...["p", "br", "strong", "em", "del", "code", "pre", "a", "span", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "blockquote"],
    ...["ul", "ol", "li", "input", "table", "thead", "tbody", "tr", "th", "td", "sup", "section"],
  ],
  attributes: {
    a: ["href", ["className", "image-link"]],
    code: [["className", /^language-./]],
    input: [["disabled", true], ["type", "checkbox"], "checked"],
    li: [["className", "task-list-item"]],
    ol: ["start", ["className", "contains-task-list"]],
    ul: [["className", "contains-task-list"]],
    section: [["className", "footnote"]],
    span: [["className", "image-link"]],
    sup: [["className", "footnote-mark"]],
    td: ALIGNED,
    th: ALIGNED,
  },
  required: { input: { disabled: true, type: "checkbox" } },
  protocols: { href: ["http", "https", "mailto"] },
};

export const hardening = {
  allowedLinkPrefixes: ["*"],
  allowedImagePrefixes: [],
  allowedProtocols: [],
  allowDataImages: false,
  linkBlockPolicy: "text-only",
  imageBlockPolicy: "text-only",
};

// Footnotes stay where they were written and keep their own label, so that a block renders alike whatever stands elsewhere.
export const toHtmlTree = {
  handlers: {
    footnoteReference: (_state, node) => footnoteMark(node),
    footnoteDefinition: (state, node) => ({
      type: "element",
      tagName: "section",
      properties: { className: ["footnote"] },
      children: [footnoteMark(node), ...state.all(node)],
    }),
  },
};

function footnoteMark(node) {
  const children = [{ type: "text", value: node.label || node.identifier }];
  return { type: "element", tagName: "sup", properties: { className: ["footnote-mark"] }, children };
}

function imageLink({ src, alt }, own, insideLink) {
  const href = insideLink ? null : safeAddress(src, own);
  const children = [{ type: "text", value: alt || "image" }];
  const className = ["image-link"];
  return { type: "element", tagName: href ? "a" : "span", properties: href ? { className, href } : { className }, children };
}

function breaksOf({ value }) {
  const pieces = value.split(/<br\s*\/?>/i);
  return pieces.flatMap((piece, i) => [...(i ? [{ type: "break" }] : []), ...(piece ? [{ type: "text", value: piece }] : [])]);
}

function eachParent(node, visit) {
  if (!node.children) return;
  for (const child of node.children) eachParent(child, visit);
  visit(node);
}
