// What the model is told: the system prompt and the parameters of this conversation, and presets of them.

import { SlidersHorizontal } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useRef, useState, useSyncExternalStore } from "react";
import { useChat } from "../chat";
import { useAddress } from "../common/address";
import { useDismiss } from "../common/dismiss";
import { conversationPath, request } from "../common/request";
import { useShared } from "../common/shared-value";
import { storage } from "../common/storage";
import { useStrings } from "../common/strings";
import type { Settings } from "../store/frames";
import { NO_PROMPT, Presets, Prompts } from "./preset-fields";

const EFFORTS = ["minimal", "low", "medium", "high"] as const;

export function Parameters() {
  const t = useStrings().composer;
  const chat = useChat();
  const { id, pending } = useAddress();
  const { settings, change, isRefused } = useSettings();
  const [open, setOpen] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panel = useId();
  // What is typed here stays if the panel is closed.
  const [presetName, setPresetName] = useState("");
  const [prompt, setPrompt] = useState(NO_PROMPT);
  useDismiss(open, frame, button, () => setOpen(false));
  // Every new chat begins with the defaults of this browser.
  useEffect(() => {
    if (id) return;
    chat.settings.set(storage.get<Settings>("settings") ?? {});
    chat.toolsOff.set([]);
  }, [chat, id]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: moving to another address closes it
  useEffect(() => setOpen(false), [id]);
  const isSet = Object.keys(settings).length > 0;
  return (
    <div className="parameters" ref={frame}>
      <button
        type="button"
        className="icon"
        data-testid="parameters"
        data-set={isSet}
        aria-label={t.parameters}
        title={t.parametersHint}
        aria-expanded={open}
        aria-controls={panel}
        disabled={pending}
        onClick={() => setOpen(!open)}
        ref={button}
      >
        <SlidersHorizontal size={16} />
      </button>
      {open && (
        <div className="parameters-panel" id={panel} role="group" aria-label={t.parametersOf} onKeyDown={keepEnter}>
          <Fields settings={settings} onChange={change} isRefused={isRefused} />
          <Presets settings={settings} name={presetName} setName={setPresetName} />
          <Prompts prompt={prompt} setPrompt={setPrompt} />
        </div>
      )}
    </div>
  );
}

const NONE: Settings = {};

interface Sent {
  id: string;
  settings: Settings;
  isRefused?: true;
}

// The settings of the conversation, or of the next one. The server replaces them as a whole: a change is made to what was
// sent from here last, until the server tells what it has, and is sent once the one before has been answered.
function useSettings() {
  const chat = useChat();
  const { id } = useAddress();
  const own = useSyncExternalStore(
    chat.store.subscribeMeta,
    () => chat.store.meta().settings,
    () => NONE,
  );
  const draft = useShared(chat.settings);
  const [sent, setSent] = useState<Sent | null>(null);
  const sending = useRef({ count: 0, last: Promise.resolve() });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the server told its settings
  useEffect(() => {
    if (!sending.current.count) setSent(null);
  }, [own]);
  const send = async (mine: Sent) => {
    const { system = null, ...options } = mine.settings;
    const done = await chat.attempt(() => request("PATCH", conversationPath(mine.id), { system, options }));
    sending.current.count -= 1;
    // What was typed stays, and can be sent again.
    if (!done) setSent((now) => (now === mine ? { ...mine, isRefused: true } : now));
  };
  const change = (settings: Settings) => {
    if (!id) return chat.settings.set(settings);
    const mine = { id, settings };
    setSent(mine);
    sending.current.count += 1;
    sending.current.last = sending.current.last.then(() => send(mine));
  };
  const unconfirmed = sent?.id === id ? sent : null;
  return { settings: id ? (unconfirmed?.settings ?? own) : draft, change, isRefused: !!unconfirmed?.isRefused };
}

// Enter stores what is typed; it does not send the message.
function keepEnter(event: KeyboardEvent<HTMLElement>): void {
  if (event.key !== "Enter" || !(event.target instanceof HTMLInputElement)) return;
  event.preventDefault();
  event.target.blur();
}

interface FieldsProps {
  settings: Settings;
  /** Whether they could not be stored. */
  isRefused: boolean;
  onChange: (settings: Settings) => void;
}

// What is typed is stored when the field is left. A field that is being written in is not touched by what comes meanwhile.
function useField<Element extends HTMLInputElement | HTMLTextAreaElement>(value: string | number | undefined) {
  const field = useRef<Element>(null);
  useEffect(() => {
    if (field.current && field.current !== document.activeElement) field.current.value = String(value ?? "");
  }, [value]);
  return field;
}

function Fields({ settings, isRefused, onChange }: FieldsProps) {
  const t = useStrings().composer;
  const put = (name: keyof Settings, value: string | number | boolean | undefined) => {
    if (value === settings[name] && !isRefused) return;
    const { [name]: _, ...rest } = settings;
    onChange(value === undefined ? rest : { ...rest, [name]: value });
  };
  const { model, models } = useChat();
  const [current, offered] = [useShared(model), useShared(models)];
  const searches = offered.find(({ id }) => id === current)?.web_search;
  const system = useField<HTMLTextAreaElement>(settings.system);
  return (
    <>
      <label>
        {t.systemPrompt}
        <textarea
          ref={system}
          className="field"
          data-testid="system-prompt"
          rows={4}
          maxLength={200_000}
          dir="auto"
          placeholder={t.systemPromptHint}
          defaultValue={settings.system}
          onBlur={(event) => put("system", event.target.value.trim() ? event.target.value : undefined)}
        />
      </label>
      <div className="numbers">
        <NumberField
          label={t.temperature}
          testId="temperature"
          limits={{ min: 0, max: 2, step: "any" }}
          value={settings.temperature}
          onChange={(value) => put("temperature", value)}
        />
        <NumberField
          label={t.maxTokens}
          testId="max-tokens"
          limits={{ min: 1, max: 10_000_000, step: 1 }}
          value={settings.max_tokens}
          onChange={(value) => put("max_tokens", value)}
        />
        <label>
          {t.effort}
          <select
            className="field"
            data-testid="effort"
            value={settings.reasoning_effort ?? ""}
            onChange={(event) => put("reasoning_effort", event.target.value || undefined)}
          >
            <option value="">{t.default}</option>
            {EFFORTS.map((effort) => (
              <option key={effort} value={effort}>
                {t.efforts[effort]}
              </option>
            ))}
          </select>
        </label>
      </div>
      {(searches || settings.web_search) && (
        <label className="search-switch">
          <input
            type="checkbox"
            data-testid="web-search"
            checked={!!settings.web_search}
            onChange={(event) => put("web_search", event.target.checked || undefined)}
          />
          {t.webSearch}
        </label>
      )}
    </>
  );
}

interface NumberProps {
  label: string;
  testId: string;
  limits: { min: number; max: number; step: number | "any" };
  value: number | undefined;
  onChange: (value: number | undefined) => void;
}

function NumberField({ label, testId, limits, value, onChange }: NumberProps) {
  const t = useStrings().composer;
  const field = useField<HTMLInputElement>(value);
  return (
    <label>
      {label}
      <input
        ref={field}
        className="field"
        type="number"
        data-testid={testId}
        placeholder={t.default}
        {...limits}
        defaultValue={value}
        onBlur={({ target }) => {
          if (target.validity.valid) onChange(target.value === "" ? undefined : Number(target.value));
        }}
      />
    </label>
  );
}
