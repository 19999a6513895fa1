// Which models answer the next question beside the one in the picker.

import "./compare.css";

import { Columns2 } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { type Chat, useChat } from "../chat";
import { useAddress } from "../common/address";
import { useDismiss } from "../common/dismiss";
import { useShared } from "../common/shared-value";
import { useStrings } from "../common/strings";
import { useConfirmModel } from "./confirm-model";
import { groupByProvider } from "./models";

const MAX_BESIDE = 2;

/** The models that answer the next question side by side, the chosen one first; none if it is that one alone. */
export function comparedModels({ compare, model, models }: Chat, chosen = model.get()): string[] {
  const usable = models.get().filter(({ unavailable }) => !unavailable);
  const beside = compare.get().filter((id) => id !== chosen && usable.some((one) => one.id === id));
  return chosen && beside.length ? [chosen, ...beside] : [];
}

export function Compare() {
  const {
    composer: t,
    common: { told },
  } = useStrings();
  const chat = useChat();
  const { id: conversation } = useAddress();
  const [model, models, compare] = [useShared(chat.model), useShared(chat.models), useShared(chat.compare)];
  const [open, setOpen] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panel = useId();
  const { confirm, dialog } = useConfirmModel();
  useDismiss(open, frame, button, () => setOpen(false));
  // What was agreed to for one conversation is not for another.
  // biome-ignore lint/correctness/useExhaustiveDependencies: moving to another address ends the choice
  useEffect(() => {
    setOpen(false);
    chat.compare.set([]);
  }, [chat, conversation]);
  const others = models.filter(({ id }) => id !== model);
  if (!others.length) return null;
  const beside = compare.filter((id) => others.some((one) => one.id === id));
  const turn = (id: string, on: boolean) => {
    const put = () => chat.compare.set(on ? [...beside, id] : beside.filter((one) => one !== id));
    if (on) confirm(id, put);
    else put();
  };
  return (
    <div className="compare" ref={frame}>
      <button
        type="button"
        className="icon"
        data-testid="compare"
        data-set={beside.length > 0}
        aria-label={beside.length ? t.comparing(beside.length) : t.compare}
        title={t.compareHint}
        aria-expanded={open}
        aria-controls={panel}
        onClick={() => setOpen(!open)}
        ref={button}
      >
        <Columns2 size={16} />
        {beside.length > 0 && <span aria-hidden="true">{`+${beside.length}`}</span>}
      </button>
      {open && (
        <div className="parameters-panel compare-panel" id={panel} role="group" aria-label={t.modelsToCompare}>
          <h2>{t.compareWith}</h2>
          <p className="note">{t.compareExplained}</p>
          {groupByProvider(others).map((group) => (
            <section key={group.label}>
              <p className="note">{group.label}</p>
              <ul>
                {group.models.map(({ id, label, unavailable }) => (
                  <li key={id}>
                    <label title={unavailable ? told(unavailable) : undefined}>
                      <input
                        type="checkbox"
                        data-testid="compare-model"
                        data-model={id}
                        checked={beside.includes(id)}
                        disabled={!!unavailable || (beside.length >= MAX_BESIDE && !beside.includes(id))}
                        onChange={(event) => turn(id, event.target.checked)}
                      />
                      {label}
                    </label>
                  </li>
                ))}
              </ul>
            </section>
          ))}
        </div>
      )}
      {dialog}
    </div>
  );
}

/** Says that more than one model is asked, and which. */
export function ComparingNote() {
  const t = useStrings().composer;
  const chat = useChat();
  const [model, models, compare] = [useShared(chat.model), useShared(chat.models), useShared(chat.compare)];
  const labels = [model, ...compare.filter((id) => id !== model)].map(
    (id) => models.find((one) => one.id === id)?.label ?? id,
  );
  if (labels.length < 2) return null;
  return (
    <p className="comparing" data-testid="comparing" role="status">
      {t.sideBySide(labels.join(" · "))}
    </p>
  );
}
