// A diagram: its source while it is being written, its picture once it is complete.
//
// The picture is an image, so nothing in it can run, load or be clicked. Both themes are drawn; styles choose one.

import { useEffect, useState } from "react";
import { CopyButton } from "../common/copy-button";
import { strings, useStrings } from "../common/strings";
import { CodeFigure } from "./code-block";
import type { Drawing } from "./draw";

type Drawn = Drawing | { error: string };

const MAX_SOURCE = 20_000; // characters
const MAX_KEPT = 50;

const kept = new Map<string, Drawn>();

export function Diagram({ source }: { source: string }) {
  const t = useStrings().markdown;
  const [drawn, setDrawn] = useState(() => kept.get(source));
  useEffect(() => {
    if (drawn) return;
    let gone = false;
    void drawOnce(source).then((result) => {
      if (!gone) setDrawn(result);
    });
    return () => {
      gone = true;
    };
  }, [source, drawn]);
  if (!drawn || "error" in drawn) {
    return <CodeFigure language="mermaid" code={source} note={drawn?.error} />;
  }
  const name = `${t.diagram}: ${/^\s*(?:(?:---[\s\S]*?---|%%.*\n)\s*)*([\w-]+)/.exec(source)?.[1] ?? ""}`;
  return (
    <figure className="code diagram">
      <figcaption>
        <span className="language">mermaid</span>
        <CopyButton text={() => drawn.light} label={t.copySvg} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it can be scrolled with the keyboard */}
      <div className="picture" tabIndex={0} role="group" aria-label={name}>
        <img className="for-light" src={addressOf(drawn.light)} alt={name} />
        <img className="for-dark" src={addressOf(drawn.dark)} alt={name} />
      </div>
      <details>
        <summary>{t.source}</summary>
        <pre dir="ltr">
          <code>{source}</code>
        </pre>
      </details>
    </figure>
  );
}

function addressOf(svg: string): string {
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

async function drawOnce(source: string): Promise<Drawn> {
  const before = kept.get(source);
  if (before) return before;
  const result = source.length > MAX_SOURCE ? { error: strings().markdown.diagramTooLarge } : await tryToDraw(source);
  if (!result) return { error: strings().markdown.notDrawn };
  kept.set(source, result);
  const oldest = kept.keys().next().value;
  if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
  return result;
}

// `null` if what draws is not loaded, which says nothing of the diagram: its next rendering tries again.
async function tryToDraw(source: string): Promise<Drawn | null> {
  const loaded = await import("./draw").catch(() => null);
  if (!loaded) return null;
  try {
    return await loaded.draw(source);
  } catch (error) {
    return error instanceof loaded.NotLoaded ? null : { error: describe(error as Error) };
  }
}

function describe({ message }: Error): string {
  return message.length > 400 ? `${message.slice(0, 400)}…` : message;
}
