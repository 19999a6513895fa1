// A formula: typeset once, when it is complete, while the page is idle. The same source is never typeset twice.

import { useEffect, useState } from "react";
import { strings, useStrings } from "../common/strings";
import { createQueue, idle } from "./idle-queue";

interface Props {
  /** The source; "" while it is being written. */
  tex: string;
  display: boolean;
}

type Typeset = { nodes: Node[] } | { error: string };

const MAX_WITH_DEFINITIONS = 300; // characters: what a definition makes of them may be a thousand times as long
const MAX_KEPT = 500; // formulas
const DEFINITION = /\\(?:[egx]?def|let|futurelet|(?:re|provide)?newcommand|global|long)(?![A-Za-z])/;

const kept = new Map<string, Typeset>();
const inTurn = createQueue();

export function Formula({ tex, display }: Props) {
  return <One key={`${display}${tex}`} tex={tex} display={display} />;
}

function One({ tex, display }: Props) {
  const t = useStrings().markdown;
  const key = `${display}${tex}`;
  const [done, setDone] = useState(() => kept.get(key));
  useEffect(() => {
    if (done || !tex) return;
    let gone = false;
    void inTurn(async () => {
      if (gone) return;
      const result = kept.get(key) ?? (await typesetWhenIdle(tex, display));
      if (result) keep(key, result);
      if (!gone) setDone(result ?? { error: strings().markdown.notDrawn });
    });
    return () => {
      gone = true;
    };
  }, [tex, display, key, done]);
  const className = display ? "tex tex-display" : "tex";
  const common = { className, "data-tex": tex || undefined };
  if (!done) return <span {...common} data-state="pending" role="img" aria-label={t.formula} />;
  if ("error" in done) {
    return (
      <span {...common} data-state="invalid">
        <code dir="ltr">{tex}</code> <span className="tex-message">{done.error}</span>
      </span>
    );
  }
  const place = (element: HTMLSpanElement | null) =>
    element?.replaceChildren(...done.nodes.map((node) => node.cloneNode(true)));
  return <span {...common} data-state="done" dir="ltr" translate="no" ref={place} />;
}

// `null` if what typesets is not loaded, which says nothing of the formula: its next rendering tries again.
async function typesetWhenIdle(tex: string, display: boolean): Promise<Typeset | null> {
  if (DEFINITION.test(tex) && tex.length > MAX_WITH_DEFINITIONS) {
    return { error: strings().markdown.formulaDefines };
  }
  const loaded = await import("./typeset").catch(() => null);
  if (!loaded) return null;
  await idle(200);
  try {
    return { nodes: loaded.typeset(tex, display) };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

function keep(key: string, result: Typeset): void {
  kept.set(key, result);
  const oldest = kept.keys().next().value;
  if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
}
