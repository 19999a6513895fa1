// Reads an answer aloud with the browser's own voices, where it has some.

import { Volume2, VolumeX } from "lucide-react";
import { useEffect, useState } from "react";
import { useStrings } from "../common/strings";
import { elementOf } from "./element-of";

// What is read: the voices are the browser's, and all that it is given is read in turn.
let aloud: object | null = null;

// Ends this reading; another one that has begun meanwhile goes on.
function hush(reading: object | null): void {
  if (aloud !== reading) return;
  aloud = null;
  speechSynthesis.cancel();
}

export function ReadAloud({ id }: { id: string }) {
  const t = useStrings().transcript;
  // Answers are rendered in the browser only.
  const [offered] = useState(typeof speechSynthesis !== "undefined");
  const [reading, setReading] = useState<object | null>(null);
  useEffect(() => {
    if (reading) return () => hush(reading);
  }, [reading]);
  if (!offered) return null;
  const toggle = () => {
    if (reading) return setReading(null);
    speechSynthesis.cancel();
    const mine = {};
    aloud = mine;
    for (const utterance of utterances(id)) speechSynthesis.speak(utterance);
    const last = new SpeechSynthesisUtterance("");
    last.onend = last.onerror = () => setReading((now) => (now === mine ? null : now));
    speechSynthesis.speak(last);
    setReading(mine);
  };
  const Icon = reading ? VolumeX : Volume2;
  const label = reading ? t.stopReading : t.readAloud;
  return (
    <button
      type="button"
      className="quiet"
      data-testid="read-aloud"
      aria-label={label}
      title={label}
      aria-pressed={!!reading}
      onClick={toggle}
    >
      <Icon size={14} />
    </button>
  );
}

// Paragraph by paragraph: some browsers break off a long text. Code and marks of sources are not read.
function utterances(id: string): SpeechSynthesisUtterance[] {
  const blocks = elementOf(id)?.querySelectorAll<HTMLElement>(".answer .block") ?? [];
  return [...blocks].flatMap((block) => {
    const copy = block.cloneNode(true) as HTMLElement;
    for (const silent of copy.querySelectorAll("pre, figcaption, .source-mark, button, svg, [aria-hidden=true]"))
      silent.remove();
    const text = (copy.textContent ?? "").trim();
    return text ? [new SpeechSynthesisUtterance(text)] : [];
  });
}
