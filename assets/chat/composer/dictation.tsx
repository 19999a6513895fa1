// Dictates into the message box by the browser's own speech recognition, where it has one.

import { Mic } from "lucide-react";
import { type RefObject, useEffect, useRef, useState } from "react";
import { useChat } from "../chat";
import { currentLanguage, strings, useStrings } from "../common/strings";

interface Recognition {
  lang: string;
  continuous: boolean;
  start: () => void;
  stop: () => void;
  abort: () => void;
  onresult: ((event: { resultIndex: number; results: ArrayLike<Result> }) => void) | null;
  onerror: ((event: { error: string }) => void) | null;
  onend: (() => void) | null;
}

type Result = ArrayLike<{ transcript: string }> & { isFinal: boolean };
type Speech = { SpeechRecognition?: new () => Recognition; webkitSpeechRecognition?: new () => Recognition };

function recognition(): (new () => Recognition) | undefined {
  const { SpeechRecognition, webkitSpeechRecognition } = globalThis as Speech;
  return SpeechRecognition ?? webkitSpeechRecognition;
}

export function Dictation({ area, onChange }: { area: RefObject<HTMLTextAreaElement | null>; onChange: () => void }) {
  const t = useStrings().composer;
  const { store } = useChat();
  const [offered, setOffered] = useState(false);
  const [listening, setListening] = useState(false);
  const current = useRef<Recognition | null>(null);
  useEffect(() => {
    setOffered(!!recognition());
    return () => current.current?.abort();
  }, []);
  if (!offered) return null;
  const start = () => {
    const Recognizer = recognition();
    if (!Recognizer) return;
    const recognizer = new Recognizer();
    current.current = recognizer;
    // The language of the browser; the page's own if that is another one.
    recognizer.lang = navigator.language.startsWith(currentLanguage()) ? navigator.language : currentLanguage();
    recognizer.continuous = true;
    recognizer.onresult = ({ resultIndex, results }) => {
      for (const result of Array.from(results).slice(resultIndex)) {
        if (result.isFinal) insert(area.current, result[0].transcript);
      }
      onChange();
    };
    recognizer.onerror = ({ error }) => {
      if (error === "not-allowed") store.feed({ k: "say", text: strings().composer.noMicrophone, n: 0 });
    };
    recognizer.onend = () => setListening(false);
    recognizer.start();
    setListening(true);
  };
  const label = listening ? t.stopDictating : t.dictate;
  return (
    <button
      type="button"
      className="icon dictate"
      data-testid="dictate"
      aria-label={label}
      title={label}
      aria-pressed={listening}
      onClick={() => (listening ? current.current?.stop() : start())}
    >
      <Mic size={16} />
    </button>
  );
}

// At the caret, with a space before it if it follows a word.
function insert(box: HTMLTextAreaElement | null, spoken: string): void {
  if (!box) return;
  const { selectionStart: start, selectionEnd: end } = box;
  const text = spoken.trim();
  box.setRangeText(start && !/\s$/.test(box.value.slice(0, start)) ? ` ${text}` : text, start, end, "end");
}
