// Which model answers. A native list: it works by keyboard, on phones, and with screen readers.

import { useEffect, useRef, useSyncExternalStore } from "react";
import { useSearchParams } from "react-router";

import { keep, kept } from "./kept.js";
import { byProvider, chosenModel, refusal } from "./models.js";
import { chosen, offeredModels, store } from "./session.js";

export function ModelPicker({ models, defaultModel }) {
  const [search] = useSearchParams();
  const wanted = search.get("model");
  const asked = useRef(null);
  useEffect(() => {
    offeredModels.set(models);
    // The address counts once: after that the reader may choose another.
    const first = wanted && models.length > 0 && asked.current !== wanted ? wanted : null;
    if (first) asked.current = first;
    const refused = first && refusal(models, first);
    if (refused) store.feed({ k: "say", text: refused });
    const now = first ?? chosen.get();
    chosen.set(chosenModel(models, { wanted: now, last: kept("model"), fallback: defaultModel }));
  }, [models, defaultModel, wanted]);
  const id = useSyncExternalStore(chosen.subscribe, chosen.get, chosen.get);
  const note = models.find((model) => model.id === id)?.note;
  const choose = (event) => {
    chosen.set(event.target.value);
    keep("model", event.target.value);
  };
  return (
    <div className="picker">
      <select data-testid="model-picker" aria-label="Model" value={id} onChange={choose}>
        {byProvider(models).map((group) => (
          <optgroup key={group.label} label={group.label}>
            {group.models.map((model) => (
              <option key={model.id} value={model.id} disabled={!!model.unavailable}>
                {model.unavailable ? `${model.label} (${model.unavailable})` : model.label}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
      {note && <p className="note">{note}</p>}
    </div>
  );
}
