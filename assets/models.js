// Which model is chosen, and how the models are listed. Pure.

// The wanted one (from the address) if it is offered, else the last choice if it can still be used, else the default.
export function chosenModel(models, { wanted, last, fallback }) {
  const usable = (id) => models.some((model) => model.id === id && !model.unavailable);
  return [wanted, last, fallback].find((id) => id && usable(id)) ?? models.find((model) => !model.unavailable)?.id ?? "";
}

// Why the model that the address names cannot answer; "" where it can. The server's words for the same.
export function refusal(models, wanted) {
  const model = models.find(({ id }) => id === wanted);
  if (!model) return `There is no model named “${wanted.slice(0, 60)}” here. Choose another one.`;
  return model.unavailable ? `${model.label} cannot be used now: ${model.unavailable}` : "";
}

const PROVIDERS = {
  openai: "OpenAI",
  "openai-chat": "OpenAI",
  "openai-responses": "OpenAI",
  anthropic: "Anthropic",
  local: "On this machine",
  simulator: "Simulator",
};

// [{label, models}] in the order in which the models are offered.
export function byProvider(models) {
  const groups = new Map();
  for (const model of models) {
    const provider = model.id.split(":")[0];
    const label = PROVIDERS[provider] ?? provider;
    groups.set(label, [...(groups.get(label) ?? []), model]);
  }
  return [...groups].map(([label, members]) => ({ label, models: members }));
}

// The prompts of the empty page; one with a model only where that model can be used.
export function offered(suggestions, models) {
  const usable = (id) => models.some((model) => model.id === id && !model.unavailable);
  return suggestions.filter((suggestion) => !suggestion.model || usable(suggestion.model));
}
