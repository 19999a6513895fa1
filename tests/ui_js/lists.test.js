import { expect, test } from "bun:test";

import { grouped } from "../../assets/days.js";
import { byProvider, chosenModel, offered } from "../../assets/models.js";

const models = [
  { id: "openai:gpt", label: "GPT", unavailable: "set a key" },
  { id: "local:small", label: "Small", unavailable: "" },
  { id: "simulator:tour", label: "Tour", unavailable: "" },
  { id: "openai-chat:gpt", label: "GPT chat", unavailable: "set a key" },
];

test("the wanted model, else the last one, else the default, and never one that cannot be used", () => {
  const choose = (wanted, last, fallback) => chosenModel(models, { wanted, last, fallback });
  expect(choose("simulator:tour", "local:small", "local:small")).toBe("simulator:tour");
  expect(choose("openai:gpt", "simulator:tour", "local:small")).toBe("simulator:tour");
  expect(choose("no:such", null, "local:small")).toBe("local:small");
  expect(choose(null, "openai:gpt", "openai:gpt")).toBe("local:small");
  expect(chosenModel([], { wanted: "a", last: "b", fallback: "c" })).toBe("");
});

test("models are grouped by who answers", () => {
  expect(byProvider(models).map((group) => [group.label, group.models.length])).toEqual([
    ["OpenAI", 2],
    ["On this machine", 1],
    ["Simulator", 1],
  ]);
});

test("a suggestion for a model that cannot be used is not made", () => {
  const suggestions = [{ label: "a" }, { label: "b", model: "openai:gpt" }, { label: "c", model: "simulator:tour" }];
  expect(offered(suggestions, models).map((suggestion) => suggestion.label)).toEqual(["a", "c"]);
});

test("conversations are grouped by day, in the reader's time zone, and keep their order", () => {
  const now = new Date(2026, 4, 20, 0, 30);
  const at = (...args) => new Date(...args).toISOString();
  const rows = [
    { id: "1", when: at(2026, 4, 20, 0, 10) },
    { id: "2", when: at(2026, 4, 19, 23, 50) },
    { id: "3", when: at(2026, 4, 19, 0, 0) },
    { id: "4", when: at(2026, 4, 16, 12) },
    { id: "5", when: at(2026, 4, 1, 12) },
    { id: "6", when: at(2025, 1, 1) },
    { id: "7", when: "no date" },
  ];
  const groups = grouped(rows, now);
  expect(groups.map((group) => [group.label, group.rows.map((row) => row.id).join("")])).toEqual([
    ["Today", "17"],
    ["Yesterday", "23"],
    ["This week", "4"],
    ["This month", "5"],
    ["Earlier", "6"],
  ]);
});
