// A button that copies a text, and says that it did.

import { useEffect, useState } from "react";

export function CopyButton({ text, label, className = "" }) {
  const [state, setState] = useState("");
  useEffect(() => {
    if (!state) return;
    const timer = setTimeout(() => setState(""), 1600);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = async () => setState((await copied(text())) ? "Copied" : "Not copied");
  return (
    <button type="button" className={`quiet copy ${className}`} onClick={copy} aria-label={state || label} title={label}>
      <CopyIcon done={state === "Copied"} />
      <span aria-hidden="true">{state || "Copy"}</span>
    </button>
  );
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedTheOldWay(text);
  }
}

// There is no clipboard on plain http from another machine.
function copiedTheOldWay(text) {
  const area = document.createElement("textarea");
  const focused = document.activeElement;
  area.value = text;
  area.className = "sr-only";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus({ preventScroll: true });
  return done;
}

function CopyIcon({ done }) {
  return (
    <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.5">
      {done ? (
        <path d="m3 8.5 3.2 3.2L13 4.8" strokeLinecap="round" strokeLinejoin="round" />
      ) : (
        <path d="M5.5 5.5h7v7h-7zM3.5 10.5h-.2a.8.8 0 0 1-.8-.8V3.3c0-.4.4-.8.8-.8h6.4c.4 0 .8.4.8.8v.2" strokeLinejoin="round" />
      )}
    </svg>
  );
}
