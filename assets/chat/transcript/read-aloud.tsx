// Reads an answer aloud with the browser's own voices, where it has some.

import { Volume2, VolumeX } from "lucide-react";
import { useEffect, useState } from "react";
import { useStrings } from "../common/strings";
import { elementOf } from "./element-of";

export function ReadAloud({ id }: { id: string }) {
  const t = useStrings().transcript;
  const [offered, setOffered] = useState(false);
  const [reading, setReading] = useState(false);
  useEffect(() => setOffered(typeof speechSynthesis !== "undefined"), []);
  useEffect(() => {
    if (reading) return () => speechSynthesis.cancel();
  }, [reading]);
  if (!offered) return null;
  const toggle = () => {
    if (reading) return setReading(false);
    speechSynthesis.cancel(); // another answer
    for (const utterance of utterances(id)) speechSynthesis.speak(utterance);
    const last = new SpeechSynthesisUtterance("");
    last.onend = last.onerror = () => setReading(false);
    speechSynthesis.speak(last);
    setReading(true);
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
      aria-pressed={reading}
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
