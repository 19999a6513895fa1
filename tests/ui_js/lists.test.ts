import { expect, test } from "bun:test";
import { chooseModel, groupByProvider, refusal, usableSuggestions } from "../../assets/chat/composer/models";
import { groupByDate } from "../../assets/chat/shell/group-by-date";
import type { Model } from "../../assets/chat/store/frames";

const models: Model[] = [
  { id: "openai:gpt", label: "GPT", unavailable: "set a key", note: "" },
  { id: "local:small", label: "Small", unavailable: "", note: "" },
  { id: "simulator:tour", label: "Tour", unavailable: "", note: "" },
  { id: "openai-chat:gpt", label: "GPT chat", unavailable: "set a key", note: "" },
];

test("the wanted model, else the last one, else the default, and never one that cannot be used", () => {
  const choose = (wanted: string | null, last: string | null, fallback: string) =>
    chooseModel(models, { wanted, last, fallback });
  expect(choose("simulator:tour", "local:small", "local:small")).toBe("simulator:tour");
  expect(choose("openai:gpt", "simulator:tour", "local:small")).toBe("simulator:tour");
  expect(choose("no:such", null, "local:small")).toBe("local:small");
  expect(choose(null, "openai:gpt", "openai:gpt")).toBe("local:small");
  expect(chooseModel([], { wanted: "a", last: "b", fallback: "c" })).toBe("");
});

test("models are grouped by who answers", () => {
  expect(groupByProvider(models).map((group) => [group.label, group.models.length])).toEqual([
    ["OpenAI", 2],
    ["On this machine", 1],
    ["Simulator", 1],
  ]);
});

test("a suggestion for a model that cannot be used is not made", () => {
  const suggestions = [
    { label: "a", text: "" },
    { label: "b", text: "", model: "openai:gpt" },
    { label: "c", text: "", model: "simulator:tour" },
  ];
  expect(usableSuggestions(suggestions, models).map((suggestion) => suggestion.label)).toEqual(["a", "c"]);
});

test("conversations are grouped by day, in the reader's time zone, and keep their order", () => {
  const now = new Date(2026, 4, 20, 0, 30);
  const at = (year: number, month: number, day: number, hours = 0, minutes = 0) =>
    new Date(year, month, day, hours, minutes).toISOString();
  const rows = [
    { id: "1", when: at(2026, 4, 20, 0, 10) },
    { id: "2", when: at(2026, 4, 19, 23, 50) },
    { id: "3", when: at(2026, 4, 19, 0, 0) },
    { id: "4", when: at(2026, 4, 16, 12) },
    { id: "5", when: at(2026, 4, 1, 12) },
    { id: "6", when: at(2025, 1, 1) },
    { id: "7", when: "no date" },
  ];
  const groups = groupByDate(rows, now);
  expect(groups.map((group) => [group.label, group.rows.map((row) => row.id).join("")])).toEqual([
    ["Today", "17"],
    ["Yesterday", "23"],
    ["This week", "4"],
    ["This month", "5"],
    ["Earlier", "6"],
  ]);
});

test("a model in the address that cannot answer is named, and another one is chosen", () => {
  expect(refusal(models, "nope:x")).toContain("nope:x");
  expect(refusal(models, "openai:gpt")).toContain("set a key");
  expect(refusal(models, "local:small")).toBe("");
  expect(chooseModel(models, { wanted: "nope:x", fallback: "local:small" })).toBe("local:small");
});

test("a day is a day of the calendar, also when clocks change", () => {
  const zone = process.env.TZ;
  process.env.TZ = "America/New_York"; // clocks went back on 2 November 2025
  try {
    const rows = [new Date(2025, 10, 2, 23, 30), new Date(2025, 10, 2, 0, 30), new Date(2025, 10, 1, 23, 30)];
    const dated = rows.map((when, i) => ({ id: String(i), when: when.toISOString() }));
    const groups = groupByDate(dated, new Date(2025, 10, 3, 9));
    expect(groups.map(({ label, rows }) => [label, rows.length])).toEqual([
      ["Yesterday", 2],
      ["This week", 1],
    ]);
  } finally {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  }
});
