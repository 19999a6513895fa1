// Which model is chosen, and how the models are listed. Pure.

import type { Suggestion } from "../common/page-settings";
import { strings } from "../common/strings";
import type { Model } from "../store/frames";

interface Candidates {
  /** The model that the address names, or that was chosen before. */
  wanted?: string | null;
  /** The last choice in this browser. */
  last?: string | null;
  fallback: string;
}

/** The first candidate that can be used, else any model that can, else "". */
export function chooseModel(models: Model[], { wanted, last, fallback }: Candidates): string {
  const candidate = [wanted, last, fallback].find((id) => id && isUsable(models, id));
  return candidate ?? models.find((model) => !model.unavailable)?.id ?? "";
}

/** The error message if the model in the address cannot be used, as the server words it; "" if it can. */
export function refusal(models: Model[], wanted: string): string {
  const model = models.find(({ id }) => id === wanted);
  if (!model) return strings().composer.noSuchModel(wanted.slice(0, 60));
  return model.unavailable ? strings().composer.unusable(model.label, strings().common.told(model.unavailable)) : "";
}

const PROVIDERS: Record<string, string> = {
  openai: "OpenAI",
  "openai-chat": "OpenAI",
  "openai-responses": "OpenAI",
  anthropic: "Anthropic",
};

/** In the order in which the models are offered. */
export function groupByProvider(models: Model[]): { label: string; models: Model[] }[] {
  const groups = Map.groupBy(models, ({ id }) => {
    const provider = id.split(":")[0];
    const { local, simulator } = strings().composer;
    return { ...PROVIDERS, local, simulator }[provider] ?? provider;
  });
  return [...groups].map(([label, members]) => ({ label, models: members }));
}

/** The prompts of the empty page that can be answered. */
export function usableSuggestions(suggestions: Suggestion[], models: Model[]): Suggestion[] {
  return suggestions.filter(({ model }) => !model || isUsable(models, model));
}

const SIMULATED = /^(simulator|local):/;

/** A built-in prompt: a scripted answer shows what it is for, unless a real model is chosen. */
export function builtIn({ model, ...prompt }: Suggestion, models: Model[], chosen: string): Suggestion {
  const scripted = (!chosen || SIMULATED.test(chosen)) && model !== undefined && isUsable(models, model);
  return scripted ? { ...prompt, model } : prompt;
}

/** The labels of the models that can be used, without scripted ones, and how many of those there are. */
export function readyModels(models: Model[]): { labels: string[]; simulated: number } {
  const usable = models.filter(({ unavailable }) => !unavailable);
  const labels = usable.filter(({ id }) => !id.startsWith("simulator:")).map(({ label }) => label);
  return {
    labels: [...new Set(labels)],
    simulated: usable.length - usable.filter(({ id }) => !id.startsWith("simulator:")).length,
  };
}

/** Whether a conversation with the model `from` leaves this machine with the model `to`. */
export function leavesThisMachine(models: Model[], from: string, to: string): boolean {
  const isRemote = (id: string) => !!models.find((model) => model.id === id)?.remote;
  return isRemote(to) && !isRemote(from);
}

function isUsable(models: Model[], id: string): boolean {
  return models.some((model) => model.id === id && !model.unavailable);
}
