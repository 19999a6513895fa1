// Which model answers. A native list: it works by keyboard, on phones, and with screen readers.

import { type ChangeEvent, useEffect, useRef, useSyncExternalStore } from "react";
import { useSearchParams } from "react-router";
import { useChat } from "../chat";
import { useAddress } from "../common/address";
import { conversationPath, request } from "../common/request";
import { useShared } from "../common/shared-value";
import { useStableCallbacks } from "../common/stable-callbacks";
import { storage } from "../common/storage";
import { useStrings } from "../common/strings";
import type { Model } from "../store/frames";
import { useConfirmModel } from "./confirm-model";
import { chooseModel, groupByProvider, refusal } from "./models";
import { useApplyPreset } from "./presets";

const PRESET = "preset ";

interface Props {
  models: Model[];
  defaultModel: string;
}

export function ModelPicker({ models, defaultModel }: Props) {
  const {
    composer: t,
    common: { told },
  } = useStrings();
  const chat = useChat();
  const { id: conversation, pending } = useAddress();
  useChoice(models, defaultModel);
  const { confirm, dialog } = useConfirmModel();
  const { apply, dialog: presetDialog } = useApplyPreset();
  const presets = useShared(chat.presets).filter(({ kind }) => kind === "preset");
  const id = useShared(chat.model);
  const model = models.find((model) => model.id === id);
  const choose = (event: ChangeEvent<HTMLSelectElement>) => {
    const chosen = event.target.value;
    const preset = presets.find((one) => `${PRESET}${one.id}` === chosen);
    if (preset) {
      event.target.value = id;
      return apply(preset);
    }
    chooseModelNow(chosen);
  };
  const chooseModelNow = (chosen: string) => {
    if (!conversation || pending) {
      chat.model.set(chosen);
      storage.set("model", chosen);
      return;
    }
    confirm(chosen, async () => {
      const before = chat.model.get();
      chat.model.set(chosen);
      const stored = () => request("PATCH", conversationPath(conversation), { model: chosen });
      if (!(await chat.attempt(stored)) && chat.model.get() === chosen) chat.model.set(before);
    });
  };
  const { choose: chooseStable } = useStableCallbacks({ choose: chooseModelNow });
  useEffect(() => {
    chat.chooseModel.set(chooseStable);
    return () => chat.chooseModel.set(null);
  }, [chat, chooseStable]);
  return (
    <div className="picker">
      <select data-testid="model-picker" aria-label={t.model} value={id} onChange={choose}>
        {id && !model && (
          <option value={id} disabled>
            {t.notOffered(id)}
          </option>
        )}
        {groupByProvider(models).map((group) => (
          <optgroup key={group.label} label={group.label}>
            {group.models.map((model) => (
              <option key={model.id} value={model.id} disabled={!!model.unavailable}>
                {model.unavailable ? `${model.label} (${told(model.unavailable)})` : model.label}
              </option>
            ))}
          </optgroup>
        ))}
        {presets.length > 0 && (
          <optgroup label={t.presets}>
            {presets.map((preset) => (
              <option key={preset.id} value={`${PRESET}${preset.id}`}>
                {preset.name}
              </option>
            ))}
          </optgroup>
        )}
      </select>
      {model?.note && <p className="note">{told(model.note)}</p>}
      {dialog}
      {presetDialog}
    </div>
  );
}

// A conversation has its own model. A new chat gets the one that the address names, which counts once, or the last choice
// in this browser.
function useChoice(models: Model[], defaultModel: string): void {
  const chat = useChat();
  const { id, pending } = useAddress();
  const own = useSyncExternalStore(
    chat.store.subscribeMeta,
    () => chat.store.meta().model,
    () => "",
  );
  const [search] = useSearchParams();
  const named = search.get("model");
  const applied = useRef<string | null>(null);
  const place = useRef<string | null | undefined>(undefined);
  useEffect(() => {
    chat.models.set(models);
    if (id && !pending && own) {
      place.current = id;
      return chat.model.set(own);
    }
    const first = named && models.length > 0 && applied.current !== named ? named : null;
    if (first) {
      applied.current = first;
      const text = refusal(models, first);
      if (text) chat.store.feed({ k: "say", text, n: 0 });
    }
    // What a conversation has is not the choice for the next chat.
    const wanted = first ?? (place.current === id ? chat.model.get() : null);
    place.current = id;
    chat.model.set(chooseModel(models, { wanted, last: storage.get<string>("model"), fallback: defaultModel }));
  }, [chat, models, defaultModel, named, id, pending, own]);
}
