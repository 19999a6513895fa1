// The blocks of one text. A closed block is rendered once and its elements stay; only the open one is rendered again.

import "./markdown.css";

import type { Element } from "hast";
import { createElement, type MouseEvent, memo, type ReactNode, useEffect, useReducer, useRef } from "react";
import {
  defaultRehypePlugins,
  defaultRemarkPlugins,
  Block as MarkdownBlock,
  type BlockProps as MarkdownBlockProps,
} from "streamdown";
import { ErrorBoundary } from "../common/error-boundary";
import type { Block, BlockSplitter } from "./block-splitter";
import { CodeBlock, Growing, NestedCodeBlock } from "./code-block";
import { fencedCode } from "./code-fence";
import { completeMarkdown } from "./complete-markdown";
import { Formula } from "./formula";
import { isIntricate } from "./intricate";
import { labelsOf, withReferences } from "./references";
import { requestTurn, takeBudget } from "./render-budget";
import {
  allowed,
  dropCitationMarkers,
  dropStubs,
  hardening,
  htmlAsText,
  lineBreaks,
  safeLinks,
  toHtmlTree,
} from "./sanitize";
import { showSourceMarks } from "./source-marks";
import { worldSyntax } from "./syntax";
import { FurtherRows, Table } from "./table";
import { formulas, hideFormulas } from "./tex";

const plugin = (plugins: Record<string, unknown>, name: string) => (plugins[name] as unknown[])[0];

const REMARK = [
  [plugin(defaultRemarkPlugins, "gfm"), { singleTilde: false }],
  htmlAsText,
  worldSyntax,
  dropCitationMarkers,
  showSourceMarks,
  lineBreaks,
  formulas,
  dropStubs,
] as MarkdownBlockProps["remarkPlugins"];
// Never the default list: it lets raw HTML and every image and link through.
const REHYPE = [
  safeLinks,
  [plugin(defaultRehypePlugins, "sanitize"), allowed],
  [plugin(defaultRehypePlugins, "harden"), hardening],
] as MarkdownBlockProps["rehypePlugins"];

// Plain elements instead of the library's own components.
const PLAIN = [...["p", "strong", "em", "del", "hr", "blockquote", "ul", "thead", "tbody", "tr", "section", "input"]];
// Each takes its direction from its own first letter: languages mix in a list or a table.
const DIRECTED = ["li", "th", "td"];
const HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"] as const;
const COMPONENTS = {
  ...Object.fromEntries(PLAIN.map((tag) => [tag, tag])),
  ...Object.fromEntries(DIRECTED.map((tag) => [tag, directed(tag)])),
  ...Object.fromEntries(HEADINGS.map((tag, i) => [tag, heading(i + 1)])),
  a: Link,
  code: InlineCode,
  ol: NumberedList,
  pre: NestedCodeBlock,
  span: Span,
  sup: Mark,
  table: Table,
} as MarkdownBlockProps["components"];
// Of rows that are rendered with a copy of their table's head.
const ROW_COMPONENTS = {
  ...COMPONENTS,
  table: ({ children }: ElementProps) => children,
  thead: () => null,
} as unknown as MarkdownBlockProps["components"];

type ElementProps = Record<string, unknown> & { node?: Element; children?: ReactNode };

function directed(tag: string) {
  return ({ node: _, ...props }: ElementProps) => createElement(tag, { ...props, dir: "auto" });
}

// The page and its messages have the headings of the first two levels.
function heading(level: number) {
  const Tag = HEADINGS[Math.min(level + 1, 5)];
  return ({ node: _, ...props }: ElementProps) => <Tag {...props} data-level={level} />;
}

// Code reads from left to right, and does not count for the direction of the text around it.
function InlineCode({ children }: { children?: ReactNode }) {
  return <code dir="ltr">{children}</code>;
}

// A formula, or the text of a link that may not be followed.
function Span({ className, children }: { className?: string; children?: ReactNode }) {
  const names = className?.split(" ") ?? [];
  if (!names.includes("tex")) return <span className={className}>{children}</span>;
  return <Formula tex={typeof children === "string" ? children : ""} display={names.includes("tex-display")} />;
}

// With room for the longest number.
function NumberedList({ node, children, ...props }: ElementProps & { start?: number; className?: string }) {
  const items = node?.children.filter((child) => child.type === "element").length ?? 0;
  const digits = String((props.start ?? 1) + items - 1).length;
  const style = digits > 2 ? { paddingInlineStart: `${digits + 1.25}ch` } : undefined;
  return (
    <ol {...props} style={style}>
      {children}
    </ol>
  );
}

interface BlocksProps {
  splitter: BlockSplitter;
  /** Whether the text may still grow. */
  open: boolean;
  /** Whether a long text is rendered at once, as far as the budget reaches, or as it grows. */
  eager?: boolean;
  /** Called when the whole text is there, which takes several frames if it is long. */
  onWhole?: () => void;
}

export function Blocks({ splitter, open, eager = true, onWhole }: BlocksProps) {
  const { closed, definitions, definitionsVersion } = splitter;
  const { low, from } = useRendered(closed, eager, onWhole);
  const text = open ? splitter.open : "";
  const current: Block | null = text.trim()
    ? { kind: splitter.openKind, text, head: splitter.openHead, labels: null }
    : null;
  const all = current ? [...closed, current] : closed;
  const shown: ReactNode[] = [];
  for (let i = 0, next = 0; i < all.length; i = next) {
    next = endOfTable(all, i);
    const isOpen = all[i] === current;
    const isThere = i < low || i >= from || isOpen;
    const more = next === i + 1 ? NO_ROWS : rowsBetween(all, i + 1, next, current, (at) => at < low || at >= from);
    if (!isThere && !more.length) continue;
    const refers = isOpen || !!all[i].labels || more.some((rows) => rows.open || !!rows.block.labels);
    shown.push(
      <MemoBlock
        key={i}
        block={isThere ? all[i] : { ...all[i], text: all[i].head }}
        definitions={definitions}
        version={refers && !isOpen ? definitionsVersion : 0}
        growing={refers && open}
        open={isOpen}
        more={more}
      />,
    );
  }
  return shown;
}

// The index behind a block and the rows that belong to its table.
function endOfTable(blocks: Block[], index: number): number {
  let end = index + 1;
  while (blocks[end]?.kind === "rows") end += 1;
  return end;
}

function rowsBetween(
  blocks: Block[],
  start: number,
  end: number,
  current: Block | null,
  isThere: (index: number) => boolean,
): Rows[] {
  const rows = blocks.slice(start, end).map((block, i) => ({ key: start + i, block, open: block === current }));
  return rows.filter(({ key, open }) => open || isThere(key));
}

interface BlockProps {
  block: Block;
  definitions: Map<string, string>;
  /** Changes when definitions that the block may use do. */
  version: number;
  /** Whether definitions that it uses may still come. */
  growing: boolean;
  open: boolean;
  /** The rows of a long table that begins with this block. */
  more: Rows[];
}

const NO_ROWS: Rows[] = [];

interface Rows {
  key: number;
  block: Block;
  open: boolean;
}

const MemoBlock = memo(
  function TextBlock({ block, definitions, version, growing, open, more }: BlockProps) {
    const rows = more.map(({ key, ...each }) => (
      <MoreRows key={key} {...each} definitions={definitions} version={version} growing={growing} />
    ));
    return (
      // A browser's translation replaces the text nodes that still change here.
      <div className="block" dir="auto" translate={open ? "no" : undefined}>
        <Growing value={open}>
          <FurtherRows value={rows}>
            <ErrorBoundary text={block.text}>{render(block, definitions, growing, open)}</ErrorBoundary>
          </FurtherRows>
        </Growing>
      </div>
    );
  },
  (a, b) =>
    a.block.text === b.block.text &&
    a.block.kind === b.block.kind &&
    a.open === b.open &&
    a.version === b.version &&
    a.growing === b.growing &&
    a.more.length === b.more.length &&
    a.more.at(-1)?.block.text === b.more.at(-1)?.block.text &&
    a.more.at(-1)?.open === b.more.at(-1)?.open,
);

type RowsProps = Omit<Rows, "key"> & Pick<BlockProps, "definitions" | "version" | "growing">;

const MoreRows = memo(
  function MoreRows({ block, open, definitions, growing }: RowsProps) {
    const text = block.head + block.text;
    if (isIntricate(text)) return null;
    return (
      <Growing value={open}>
        {markdown(text, ROW_COMPONENTS, { labels: labelsOf(text), definitions, growing, open })}
      </Growing>
    );
  },
  (a, b) => a.block.text === b.block.text && a.open === b.open && a.version === b.version && a.growing === b.growing,
);

function render(block: Block, definitions: Map<string, string>, growing: boolean, open: boolean): ReactNode {
  const fenced = block.kind === "fence" ? fencedCode(block.text, open) : null;
  if (fenced) return <CodeBlock language={fenced.language} code={fenced.code} open={open} />;
  if (isIntricate(block.text)) return <p className="intricate">{block.text}</p>;
  return markdown(block.text, COMPONENTS, { labels: block.labels, definitions, growing, open });
}

interface Context {
  labels: string[] | null;
  definitions: Map<string, string>;
  growing: boolean;
  open: boolean;
}

function markdown(
  text: string,
  components: MarkdownBlockProps["components"],
  { labels, definitions, growing, open }: Context,
): ReactNode {
  const hidden = hideFormulas(text, open);
  const complete = open ? completeMarkdown(hidden) : hidden;
  return (
    <MarkdownBlock
      content={withReferences(complete, open ? labelsOf(complete) : labels, definitions, growing)}
      index={0}
      isIncomplete={false}
      components={components}
      rehypePlugins={REHYPE}
      remarkPlugins={REMARK}
      remarkRehypeOptions={toHtmlTree as unknown as MarkdownBlockProps["remarkRehypeOptions"]}
      shouldParseIncompleteMarkdown={false}
      shouldNormalizeHtmlIndentation={false}
    />
  );
}

function Link({ href, className, children }: { href?: string; className?: string; children?: ReactNode }) {
  return (
    <a href={href} className={className} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

const NUMBER = /^\[(\d+)\]$/;

// Leads to the list of sources below the answer, or from a footnote's mark to the note and back.
function Mark({ className, children }: { className?: string; children?: ReactNode }) {
  const [, n] = NUMBER.exec(String(children)) ?? [];
  if (className === "footnote-mark") {
    return (
      <sup className={className}>
        <a href={`#note-${encodeURIComponent(String(children))}`} onClick={showNote}>
          {children}
        </a>
      </sup>
    );
  }
  if (!n) return <sup className={className}>{children}</sup>;
  return (
    <sup className="source-mark">
      <a href={`#source-${n}`} data-source={n} onClick={showSource}>
        {children}
      </a>
    </sup>
  );
}

function showSource(event: MouseEvent<HTMLAnchorElement>): void {
  event.preventDefault();
  const { currentTarget: mark } = event;
  const source = mark
    .closest(".message")
    ?.querySelector<HTMLElement>(`.sources [data-number="${mark.dataset.source}"]`);
  source?.scrollIntoView({ block: "nearest" });
  source?.focus({ preventScroll: true });
}

const isOfNote = (mark: HTMLElement) => !!mark.parentElement?.parentElement?.matches(".footnote");
// Where a note was come to from: it may have several marks.
const cameFrom = new WeakMap<HTMLElement, HTMLElement>();

function showNote(event: MouseEvent<HTMLAnchorElement>): void {
  event.preventDefault();
  const { currentTarget: mark } = event;
  const marks = [...(mark.closest(".message")?.querySelectorAll<HTMLElement>(".footnote-mark > a") ?? [])];
  const others = marks.filter((other) => other.textContent === mark.textContent && isOfNote(other) !== isOfNote(mark));
  const before = cameFrom.get(mark);
  const other = before?.isConnected ? before : others[0];
  if (!other) return;
  if (!isOfNote(mark)) cameFrom.set(other, mark);
  other.scrollIntoView({ block: "nearest" });
  other.focus({ preventScroll: true });
}

interface Range {
  low: number;
  from: number;
}

// A very long text is rendered over several frames, from its end upwards: [0, low) and [from, end) are there.
function useRendered(closed: Block[], eager: boolean, onWhole?: () => void): Range {
  const [, rerender] = useReducer((turn: number) => turn + 1, 0);
  const count = closed.length;
  const range = useRef<(Range & { seen: number }) | null>(null);
  range.current ??= { low: 0, from: eager ? takeBudget(closed, 0) : count, seen: count };
  const { current } = range;
  if (current.from <= current.low && count > current.seen) {
    current.low = current.seen;
    current.from = takeBudget(closed, current.low);
  }
  current.seen = count;
  const complete = current.from <= current.low;
  useEffect(() => {
    if (complete) return onWhole?.();
    return requestTurn(() => {
      current.from = takeBudget(closed, current.low, current.from);
      rerender();
    });
  });
  return complete ? { low: count, from: count } : current;
}
