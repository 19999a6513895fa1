// What a model's Markdown may become: the plugins, the allow-list and the rule for links of the pipeline.
//
// Model text is hostile. Rules:
//
// * There is no raw HTML: it is read as text, so nothing of it reaches the page as elements.
// * Elements and attributes are those of the allow-list; there is no image among them: an image becomes a link with its
//   alternative text, so nothing is fetched without a click.
// * Links are absolute http, https or mailto addresses of other origins than the page's own; any other is plain text.

import type { Element, ElementContent, Nodes as HastNodes, Root as HastRoot, Properties } from "hast";
import type { Break, FootnoteDefinition, FootnoteReference, Root as MarkdownRoot, PhrasingContent } from "mdast";

import { strings } from "../common/strings";
import { STUB } from "./references";

// U+E200 … U+E201 with U+E202 within, and 【4†source】; one space before it belongs to it.
const CITATION = / ?(?:\uE200[^\uE201]*\uE201|【\d+(?::\d+)?†[^【】\n]*】)| ?\uE200[^\uE201]*$|[\uE200-\uE206]/g;

interface Processor {
  data(): object;
}

interface Parent<Child> {
  children: Child[];
}

/** Reads HTML as text: the parser's two constructs for it are switched off. */
export function htmlAsText(this: Processor): void {
  const data = this.data() as { micromarkExtensions?: unknown[] };
  data.micromarkExtensions ??= [];
  data.micromarkExtensions.push({ disable: { null: ["htmlFlow", "htmlText"] } });
}

/** Every line end is a line break: models write verses, addresses and lists that way. */
export function lineBreaks() {
  return (tree: MarkdownRoot): void =>
    eachParent(tree, (parent: Parent<PhrasingContent>) => {
      if (!parent.children.some((node) => node.type === "text" && node.value.includes("\n"))) return;
      parent.children = parent.children.flatMap((node) => (node.type === "text" ? splitAtBreaks(node.value) : [node]));
    });
}

/** Removes the markers of web searches, which name sources by ids that mean nothing to a reader. */
export function dropCitationMarkers() {
  return (tree: MarkdownRoot): void =>
    eachParent(tree, (parent: Parent<PhrasingContent>) => {
      for (const node of parent.children) {
        if (node.type === "text") node.value = node.value.replace(CITATION, "");
      }
    });
}

/** Removes footnotes that were lent to a block by another one. */
export function dropStubs() {
  return (tree: MarkdownRoot): void => {
    tree.children = tree.children.filter((node) => node.type !== "footnoteDefinition" || !isStub(node));
  };
}

function isStub(node: FootnoteDefinition): boolean {
  const [paragraph] = node.children;
  const first = paragraph?.type === "paragraph" ? paragraph.children[0] : undefined;
  return first?.type === "text" && first.value === STUB;
}

/** Images become links; links that may not be followed become plain text. */
export function safeLinks() {
  const own = globalThis.location?.origin;
  return (tree: HastRoot): void =>
    eachParent(tree, (parent: Parent<ElementContent> & { tagName?: string }) => {
      parent.children = parent.children.map((node) => {
        if (node.type !== "element") return node;
        if (node.tagName === "img") return imageLink(node.properties, own, parent.tagName === "a");
        if (node.tagName !== "a") return node;
        const href = safeAddress(node.properties.href, own);
        node.properties = href ? { href } : {};
        if (!href) node.tagName = "span";
        return node;
      });
    });
}

/** The address if it may be a link; `own` is the page's origin. */
export function safeAddress(href: unknown, own: string | undefined): string | null {
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

/** The allow-list, for `rehype-sanitize`. */
export const allowed = {
  tagNames: [
    ...["p", "br", "strong", "em", "del", "code", "pre", "a", "span", "h1", "h2", "h3", "h4", "h5", "h6", "hr"],
    ...["blockquote", "ul", "ol", "li", "input", "table", "thead", "tbody", "tr", "th", "td", "sup", "section"],
  ],
  attributes: {
    a: ["href", ["className", "image-link"]],
    code: [["className", /^language-./]],
    input: [["disabled", true], ["type", "checkbox"], "checked"],
    li: [["className", "task-list-item"]],
    ol: ["start", ["className", "contains-task-list"]],
    ul: [["className", "contains-task-list"]],
    section: [["className", "footnote"]],
    span: [["className", "image-link", "tex", "tex-display"]],
    sup: [["className", "footnote-mark"]],
    td: ALIGNED,
    th: ALIGNED,
  },
  required: { input: { disabled: true, type: "checkbox" } },
  protocols: { href: ["http", "https", "mailto"] },
};

/** Options of `rehype-harden`. */
export const hardening = {
  allowedLinkPrefixes: ["*"],
  allowedImagePrefixes: [],
  allowedProtocols: [],
  allowDataImages: false,
  linkBlockPolicy: "text-only",
  imageBlockPolicy: "text-only",
};

/** Footnotes stay where they were written, with their own label: a block renders the same wherever it stands. */
export const toHtmlTree = {
  handlers: {
    footnoteReference: (_state: unknown, node: FootnoteReference): Element => footnoteMark(node),
    footnoteDefinition: (state: { all(node: unknown): ElementContent[] }, node: FootnoteDefinition): Element => ({
      type: "element",
      tagName: "section",
      properties: { className: ["footnote"] },
      children: [footnoteMark(node), ...state.all(node)],
    }),
  },
};

function footnoteMark(node: FootnoteReference | FootnoteDefinition): Element {
  const value = node.label || node.identifier;
  const properties = { className: ["footnote-mark"] };
  return { type: "element", tagName: "sup", properties, children: [{ type: "text", value }] };
}

function imageLink({ src, alt }: Properties, own: string | undefined, insideLink: boolean): Element {
  const href = insideLink ? null : safeAddress(src, own);
  const children: ElementContent[] = [{ type: "text", value: String(alt || strings().markdown.image) }];
  const className = ["image-link"];
  if (href) return { type: "element", tagName: "a", properties: { className, href }, children };
  return { type: "element", tagName: "span", properties: { className }, children };
}

function splitAtBreaks(value: string): PhrasingContent[] {
  return value.split("\n").flatMap((piece, i) => {
    const nodes: PhrasingContent[] = i ? [{ type: "break" } satisfies Break] : [];
    return piece ? [...nodes, { type: "text", value: piece }] : nodes;
  });
}

function eachParent<Child>(node: HastNodes | MarkdownRoot, visit: (parent: Parent<Child>) => void): void {
  if (!("children" in node)) return;
  for (const child of node.children) eachParent(child as HastNodes, visit);
  visit(node as unknown as Parent<Child>);
}
