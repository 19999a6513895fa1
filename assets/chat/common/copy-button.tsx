// A button that copies a text and confirms it.

import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { useStrings } from "./strings";

const CONFIRMED_MS = 1600;

interface Props {
  /** Called when the button is pressed. */
  text: () => string;
  label: string;
  testId?: string;
}

export function CopyButton({ text, label, testId }: Props) {
  const t = useStrings().common;
  const [outcome, setOutcome] = useState<"copied" | "notCopied" | null>(null);
  useEffect(() => {
    if (!outcome) return;
    const timer = setTimeout(() => setOutcome(null), CONFIRMED_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async () => setOutcome((await copyText(text())) ? "copied" : "notCopied");
  const Icon = outcome === "copied" ? Check : Copy;
  return (
    <button
      type="button"
      className="quiet copy"
      data-testid={testId}
      onClick={copy}
      aria-label={outcome ? t[outcome] : label}
      title={label}
    >
      <Icon size={14} />
      <span aria-hidden="true">{t[outcome ?? "copy"]}</span>
    </button>
  );
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyWithSelection(text);
  }
}

// There is no clipboard API on plain HTTP from another machine.
function copyWithSelection(text: string): boolean {
  const area = document.createElement("textarea");
  const focused = document.activeElement;
  area.value = text;
  area.className = "sr-only";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  return copied;
}
