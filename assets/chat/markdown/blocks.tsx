// The blocks of one text. A closed block is rendered once and its elements stay; only the open one is rendered again.

import "./markdown.css";

import { memo, type ReactNode, useEffect, useReducer, useRef } from "react";
import remend from "remend";
import {
  defaultRehypePlugins,
  defaultRemarkPlugins,
  Block as MarkdownBlock,
  type BlockProps as MarkdownBlockProps,
} from "streamdown";
import { ErrorBoundary } from "../common/error-boundary";
import type { Block, BlockSplitter } from "./block-splitter";
import { CodeBlock, NestedCodeBlock } from "./code-block";
import { fencedCode } from "./code-fence";
import { completeMarkdown } from "./complete-markdown";
import { isIntricate } from "./intricate";
import { withReferences } from "./references";
import { requestTurn, takeBudget } from "./render-budget";
import { allowed, dropStubs, hardening, htmlAsText, lineBreaks, safeLinks, toHtmlTree } from "./sanitize";

const plugin = (plugins: Record<string, unknown>, name: string) => (plugins[name] as unknown[])[0];

const REMARK = [
  [plugin(defaultRemarkPlugins, "gfm"), { singleTilde: false }],
  htmlAsText,
  lineBreaks,
  dropStubs,
] as MarkdownBlockProps["remarkPlugins"];
// Never the default list: it lets raw HTML and every image and link through.
const REHYPE = [
  safeLinks,
  [plugin(defaultRehypePlugins, "sanitize"), allowed],
  [plugin(defaultRehypePlugins, "harden"), hardening],
] as MarkdownBlockProps["rehypePlugins"];

// Plain elements instead of the library's own components.
const PLAIN = [
  ...["p", "strong", "em", "del", "span", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "blockquote", "ul", "ol", "li"],
  ...["code", "thead", "tbody", "tr", "th", "td", "sup", "section", "input"],
];
const COMPONENTS = {
  ...Object.fromEntries(PLAIN.map((tag) => [tag, tag])),
  a: Link,
  pre: NestedCodeBlock,
  table: Table,
} as MarkdownBlockProps["components"];

interface BlocksProps {
  splitter: BlockSplitter;
  /** Whether the text may still grow. */
  open: boolean;
  /** Whether a long text is rendered at once, as far as the budget reaches, or as it grows. */
  eager?: boolean;
}

export function Blocks({ splitter, open, eager = true }: BlocksProps) {
  const { closed, definitions, definitionsVersion } = splitter;
  const { low, from } = useRendered(closed, eager);
  const shown: ReactNode[] = [];
  for (let i = 0; i < closed.length; i += 1) {
    if (i >= low && i < from) continue;
    const version = closed[i].labels ? definitionsVersion : 0;
    shown.push(<MemoBlock key={i} block={closed[i]} definitions={definitions} version={version} />);
  }
  const text = open ? splitter.open : "";
  if (text.trim()) {
    const block: Block = { kind: splitter.openKind, text, labels: null };
    shown.push(<MemoBlock key={closed.length} block={block} definitions={definitions} version={0} open />);
  }
  return shown;
}

interface BlockProps {
  block: Block;
  definitions: Map<string, string>;
  /** Changes when definitions that the block may use do. */
  version: number;
  open?: boolean;
}

const MemoBlock = memo(
  function TextBlock({ block, definitions, open = false }: BlockProps) {
    return (
      <div className="block" dir="auto">
        <ErrorBoundary text={block.text}>{render(block, definitions, open)}</ErrorBoundary>
      </div>
    );
  },
  (a, b) =>
    a.block.text === b.block.text && a.block.kind === b.block.kind && !a.open === !b.open && a.version === b.version,
);

function render(block: Block, definitions: Map<string, string>, open: boolean): ReactNode {
  const fenced = block.kind === "fence" ? fencedCode(block.text, open) : null;
  if (fenced) return <CodeBlock language={fenced.language} code={fenced.code} open={open} />;
  if (isIntricate(block.text)) return <p className="intricate">{block.text}</p>;
  const source = withReferences(block.text, block.labels, definitions);
  return (
    <MarkdownBlock
      content={open ? completeMarkdown(source, remend) : source}
      index={0}
      isIncomplete={false}
      components={COMPONENTS}
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

function Table({ children }: { children?: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it can be scrolled with the keyboard
    <div className="table" tabIndex={0} role="group" aria-label="Table">
      <table>{children}</table>
    </div>
  );
}

interface Range {
  low: number;
  from: number;
}

// A very long text is rendered over several frames, from its end upwards: [0, low) and [from, end) are there.
function useRendered(closed: Block[], eager: boolean): Range {
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
    if (complete) return;
    return requestTurn(() => {
      current.from = takeBudget(closed, current.low, current.from);
      rerender();
    });
  });
  return complete ? { low: count, from: count } : current;
}
