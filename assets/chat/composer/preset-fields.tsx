// Where presets and prompts are saved, used and deleted: the end of the panel of the parameters.

import { X } from "lucide-react";
import { useChat } from "../chat";
import { useAddress } from "../common/address";
import { useShared } from "../common/shared-value";
import { storage } from "../common/storage";
import { useStrings } from "../common/strings";
import type { Settings } from "../store/frames";
import { deletePreset, type Preset, savePreset, useApplyPreset } from "./presets";

interface PresetsProps {
  settings: Settings;
  name: string;
  setName: (name: string) => void;
}

export function Presets({ settings, name, setName }: PresetsProps) {
  const t = useStrings().composer;
  const chat = useChat();
  const { id } = useAddress();
  const { apply, dialog } = useApplyPreset();
  const save = async () => {
    const { system = null, ...options } = settings;
    const fields = { model: chat.model.get(), system, options, tools_off: chat.toolsOff.get() };
    const body = { name: name.trim(), ...(id ? { conversation_id: id } : fields) };
    if (body.name && (await savePreset(chat, body))) setName("");
  };
  return (
    <fieldset className="presets">
      <legend>{t.presetsLegend}</legend>
      <Saved kind="preset" onChoose={apply} />
      <SaveAs
        kind="preset"
        placeholder={t.saveAs}
        name={name}
        setName={setName}
        disabled={!name.trim()}
        onSave={save}
      />
      {!id && (
        <button
          type="button"
          className="quiet"
          data-testid="make-default"
          onClick={() => storage.set("settings", settings)}
        >
          {t.makeDefault}
        </button>
      )}
      {dialog}
    </fieldset>
  );
}

/** A prompt that is being written. */
export interface NewPrompt {
  name: string;
  text: string;
}

export const NO_PROMPT: NewPrompt = { name: "", text: "" };

interface PromptsProps {
  prompt: NewPrompt;
  setPrompt: (prompt: NewPrompt) => void;
}

export function Prompts({ prompt, setPrompt }: PromptsProps) {
  const t = useStrings().composer;
  const chat = useChat();
  const { name, text } = prompt;
  const save = async () => {
    if (await savePreset(chat, { kind: "prompt", name: name.trim(), text })) setPrompt(NO_PROMPT);
  };
  return (
    <fieldset className="presets">
      <legend>{t.promptsLegend}</legend>
      <Saved kind="prompt" onChoose={({ name, text }) => setPrompt({ name, text })} />
      <textarea
        className="field prompt-text"
        data-testid="prompt-text"
        aria-label={t.promptText}
        placeholder={t.promptExample}
        rows={2}
        maxLength={20_000}
        dir="auto"
        value={text}
        onChange={(event) => setPrompt({ name, text: event.target.value })}
      />
      <SaveAs
        kind="prompt"
        placeholder={t.name}
        name={name}
        setName={(name) => setPrompt({ name, text })}
        disabled={!name.trim() || !text.trim()}
        onSave={save}
      />
    </fieldset>
  );
}

interface SavedProps {
  kind: Preset["kind"];
  onChoose: (preset: Preset) => void;
}

function Saved({ kind, onChoose }: SavedProps) {
  const t = useStrings().composer;
  const chat = useChat();
  const presets = useShared(chat.presets).filter((preset) => preset.kind === kind);
  return presets.map((preset) => (
    <span key={preset.id} className="preset">
      <button type="button" className="button" data-testid={kind} onClick={() => onChoose(preset)}>
        {preset.name}
      </button>
      <button
        type="button"
        className="quiet"
        aria-label={t.deletePreset[kind](preset.name)}
        onClick={() => void deletePreset(chat, preset)}
      >
        <X size={14} />
      </button>
    </span>
  ));
}

interface SaveAsProps {
  kind: Preset["kind"];
  placeholder: string;
  name: string;
  setName: (name: string) => void;
  disabled: boolean;
  onSave: () => Promise<void>;
}

function SaveAs({ kind, placeholder, name, setName, disabled, onSave }: SaveAsProps) {
  const t = useStrings().composer;
  return (
    <span className="preset">
      <input
        className="field"
        data-testid={`${kind}-name`}
        aria-label={t.newName[kind]}
        placeholder={placeholder}
        maxLength={60}
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <button
        type="button"
        className="button"
        data-testid={`${kind}-save`}
        disabled={disabled}
        onClick={() => void onSave()}
      >
        {t.save}
      </button>
    </span>
  );
}
