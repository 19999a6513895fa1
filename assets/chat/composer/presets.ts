// Presets and prompts of this person, as the server has them.

import { useCallback, useEffect, useSyncExternalStore } from "react";
import { type Chat, useChat } from "../chat";
import { useAddress } from "../common/address";
import { conversationPath, request } from "../common/request";
import { storage } from "../common/storage";
import type { Settings } from "../store/frames";
import { useConfirmModel } from "./confirm-model";

export interface Preset {
  id: string;
  kind: "preset" | "prompt";
  name: string;
  /** "" leaves it as it is. */
  model: string;
  system: string | null;
  options: Omit<Settings, "system">;
  /** Disabled tools and servers. */
  tools_off: string[];
  /** Of a prompt. */
  text: string;
}

const PATH = "/api/presets";

export async function loadPresets({ presets }: Chat): Promise<void> {
  const listed = await request<{ presets: Preset[] } | null>("GET", PATH);
  presets.set(listed?.presets ?? []);
}

export async function savePreset(chat: Chat, body: object): Promise<boolean> {
  return chat.attempt(async () => {
    await request("POST", PATH, body);
    await loadPresets(chat);
  });
}

export async function deletePreset(chat: Chat, { id }: Preset): Promise<void> {
  await chat.attempt(async () => {
    await request("DELETE", `${PATH}/${encodeURIComponent(id)}`);
    await loadPresets(chat);
  });
}

interface OldPreset {
  name: string;
  model: string;
  settings: Settings;
}

// Presets were stored in the browser before.
async function takeOver(): Promise<void> {
  const old = storage.get<OldPreset[]>("presets");
  if (!Array.isArray(old)) return;
  for (const { name, model, settings } of old) {
    const { system = null, ...options } = settings ?? {};
    await request("POST", PATH, { name, model, system, options });
  }
  storage.set("presets", null);
}

/** Loads them once the page knows that it is its person's own, and not a shared link. */
export function useLoadedPresets(): void {
  const chat = useChat();
  const own = useSyncExternalStore(
    chat.store.subscribeMeta,
    () => chat.store.meta().opened && !chat.store.meta().shared,
    () => false,
  );
  useEffect(() => {
    // Without them the page works as before; what is called later says what is wrong.
    if (own)
      takeOver()
        .then(() => loadPresets(chat))
        .catch(() => undefined);
  }, [chat, own]);
}

/** `apply` makes a preset that of the conversation, or of the next chat; `dialog` is to be rendered. */
export function useApplyPreset() {
  const chat = useChat();
  const { id } = useAddress();
  const { confirm, dialog } = useConfirmModel();
  const apply = useCallback(
    (preset: Preset) => {
      const { model, system, options, tools_off } = preset;
      confirm(model || chat.model.get(), () => {
        if (id) return void chat.attempt(() => request("PATCH", conversationPath(id), { preset: preset.id }));
        if (model) chat.model.set(model);
        chat.settings.set({ ...without(options), ...(system !== null && { system }) });
        chat.toolsOff.set(tools_off);
      });
    },
    [chat, confirm, id],
  );
  return { apply, dialog };
}

// The server sends what is not set as `null`.
function without(options: object): Settings {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));
}

/** What is being written before the caret: the beginning of the name of a preset (`@`), or of a prompt (`/`). */
export interface Query {
  kind: Preset["kind"];
  word: string;
  from: number;
  to: number;
}

export function queryAt(text: string, caret: number): Query | null {
  const before = text.slice(0, caret);
  const preset = /(?:^|\s)@([^\s@]{0,40})$/u.exec(before);
  if (preset) return { kind: "preset", word: preset[1], from: caret - preset[1].length - 1, to: caret };
  const prompt = /^\/([^\s/]{0,40})$/u.exec(before);
  return prompt && { kind: "prompt", word: prompt[1], from: 0, to: caret };
}

/** Those whose name contains the word; those that begin with it first. */
export function matching(presets: Preset[], { kind, word }: Query): Preset[] {
  const wanted = word.toLocaleLowerCase();
  const found = presets.filter((one) => one.kind === kind && one.name.toLocaleLowerCase().includes(wanted));
  const begins = ({ name }: Preset) => Number(!name.toLocaleLowerCase().startsWith(wanted));
  return found.toSorted((a, b) => begins(a) - begins(b)).slice(0, 8);
}

/** The first placeholder from an offset on: its start and end. */
export function placeholderFrom(text: string, offset: number): [number, number] | null {
  const found = /\{[^{}\n]{1,40}\}/u.exec(text.slice(offset));
  return found && [offset + found.index, offset + found.index + found[0].length];
}
