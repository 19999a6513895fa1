// The blocks of one text part. A closed block is rendered once and its elements stay; only the open one is rendered again.

import { memo, useEffect, useReducer, useRef } from "react";
import remend from "remend";
import { Block as MarkdownBlock, defaultRehypePlugins, defaultRemarkPlugins } from "streamdown";

import { CodeBlock, CodeOf } from "./code.jsx";
import { allowed, dropStubs, hardening, htmlAsText, lineBreaks, safeLinks, toHtmlTree } from "./markdown.js";
import { fencedCode } from "./fence.js";
import { fill, share } from "./fill.js";
import { Guard } from "./guard.jsx";
import { withReferences } from "./references.js";
import { presentable } from "./unfinished.js";

const REMARK = [[defaultRemarkPlugins.gfm[0], { singleTilde: false }], htmlAsText, lineBreaks, dropStubs];
// Never the default list: it lets raw HTML and every image and link through.
const REHYPE = [safeLinks, [defaultRehypePlugins.sanitize[0], allowed], [defaultRehypePlugins.harden[0], hardening]];

const plain = ["p", "strong", "em", "del", "span", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "blockquote", "ul", "ol", "li"];
const COMPONENTS = {
  ...Object.fromEntries([...plain, "code", "thead", "tbody", "tr", "th", "td", "sup", "section", "input"].map((tag) => [tag, tag])),
  a: Link,
  pre: CodeOf,
  table: Table,
};

export function Blocks({ splitter, open, eager = true }) {
  const { closed, definitions, definitionsVersion } = splitter;
  const { low, from } = useFilled(closed, eager);
  const shown = [];
  for (let i = 0; i < closed.length; i += 1) {
    if (i >= low && i < from) continue;
    const version = closed[i].labels ? definitionsVersion : 0;
    shown.push(<Block key={i} block={closed[i]} definitions={definitions} version={version} />);
  }
  const text = open ? splitter.open : "";
  if (text.trim()) {
    const block = { kind: splitter.openKind, text, labels: null };
    shown.push(<Block key={closed.length} block={block} definitions={definitions} version={0} open />);
  }
  return shown;
}

const Block = memo(
  function Block({ block, definitions, open = false }) {
    return (
      <div className="block" dir="auto">
        <Guard text={block.text}>{rendering(block, definitions, open)}</Guard>
      </div>
    );
  },
  (a, b) => a.block.text === b.block.text && a.block.kind === b.block.kind && !a.open === !b.open && a.version === b.version,
);

function rendering(block, definitions, open) {
  const fenced = block.kind === "fence" ? fencedCode(block.text, open) : null;
  if (fenced) return <CodeBlock language={fenced.language} code={fenced.code} open={open} />;
  const source = withReferences(block.text, block.labels, definitions);
  return (
    <MarkdownBlock
      content={open ? presentable(source, remend) : source}
      index={0}
      isIncomplete={false}
      components={COMPONENTS}
      rehypePlugins={REHYPE}
      remarkPlugins={REMARK}
      remarkRehypeOptions={toHtmlTree}
    />
  );
}

function Link({ href, className, children }) {
  return (
    <a href={href} className={className} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

function Table({ children }) {
  return (
    <div className="table" tabIndex={0} role="group" aria-label="Table">
      <table>{children}</table>
    </div>
  );
}

// A very long text is rendered over several frames, from its end upwards: [0, low) and [from, end) are there.
function useFilled(closed, eager) {
  const [, again] = useReducer((turn) => turn + 1, 0);
  const count = closed.length;
  const range = useRef(null);
  range.current ??= { low: 0, from: eager ? share(closed, 0) : count, seen: count };
  const { current } = range;
  if (current.from <= current.low && count > current.seen) {
    current.low = current.seen;
    current.from = share(closed, current.low);
  }
  current.seen = count;
  const whole = current.from <= current.low;
  useEffect(() => {
    if (whole) return;
    return fill(() => {
      current.from = share(closed, current.low, current.from);
      again();
    });
  });
  return whole ? { low: count, from: count } : current;
}
