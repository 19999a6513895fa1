// The answers of several models to one question, side by side, until one of them is kept.
//
// Rule: what is here renders nothing for a piece of text; each answer is a message like any other.

import "./compared.css";

import { Check, Square } from "lucide-react";
import { type CSSProperties, type ReactNode, useMemo, useState, useSyncExternalStore } from "react";
import { useChat } from "../chat";
import { messagePath, request, runPath } from "../common/request";
import { useShared } from "../common/shared-value";
import { useStrings } from "../common/strings";

interface Props {
  ids: string[];
  /** Renders the answer with this id. */
  children: (id: string) => ReactNode;
}

export function Compared({ ids, children }: Props) {
  const t = useStrings().transcript;
  const [chosen, choose] = useState(0);
  const shown = Math.min(chosen, ids.length - 1);
  return (
    <section className="compared" data-testid="compared" aria-label={t.sideBySide}>
      <div className="compared-switch" role="group" aria-label={t.answerToShow}>
        {ids.map((id, index) => (
          <SwitchButton key={id} id={id} pressed={index === shown} choose={() => choose(index)} />
        ))}
      </div>
      <div className="columns" style={{ "--columns": ids.length } as CSSProperties}>
        {ids.map((id, index) => (
          <section
            key={id}
            className="column"
            data-testid="compared-answer"
            data-message-id={id}
            data-shown={index === shown}
          >
            <ColumnHead id={id} />
            {children(id)}
          </section>
        ))}
      </div>
    </section>
  );
}

interface SwitchProps {
  id: string;
  pressed: boolean;
  choose: () => void;
}

function SwitchButton({ id, pressed, choose }: SwitchProps) {
  const t = useStrings().transcript;
  const { label, running } = useAnswer(id);
  return (
    <button
      type="button"
      className="quiet"
      data-testid="compared-switch"
      data-message-id={id}
      aria-pressed={pressed}
      title={label}
      onClick={choose}
    >
      <span>{label}</span>
      {running && <i className="dot" role="img" aria-label={t.answering} />}
    </button>
  );
}

function ColumnHead({ id }: { id: string }) {
  const t = useStrings().transcript;
  const { attempt, scroll } = useChat();
  const { label, running } = useAnswer(id);
  const stop = () => void attempt(() => request("DELETE", runPath(id)));
  const keep = () => {
    scroll.release();
    void attempt(() => request("POST", messagePath(id, "/select")));
  };
  return (
    <header className="column-head">
      <h3 title={label}>{label}</h3>
      {running && (
        <button
          type="button"
          className="quiet"
          data-testid="stop-one"
          aria-label={t.stop(label)}
          title={t.stopThis}
          onClick={stop}
        >
          <Square size={12} fill="currentColor" />
        </button>
      )}
      <button
        type="button"
        className="button"
        data-testid="keep"
        aria-label={t.keepOf(label)}
        title={t.keepHint}
        onClick={keep}
      >
        <Check size={14} />
        {t.keep}
      </button>
    </header>
  );
}

// The name of the model of an answer, and whether it is being written.
function useAnswer(id: string): { label: string; running: boolean } {
  const chat = useChat();
  const models = useShared(chat.models);
  const [subscribe, model, running] = useMemo(() => {
    const { store } = chat;
    return [
      (listener: () => void) => store.subscribe(id, listener),
      () => store.message(id)?.model ?? "",
      () => !!store.message(id)?.running,
    ] as const;
  }, [chat, id]);
  const name = useSyncExternalStore(subscribe, model, model);
  const isRunning = useSyncExternalStore(subscribe, running, running);
  return { label: models.find((one) => one.id === name)?.label ?? name, running: isRunning };
}
