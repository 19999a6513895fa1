import { expect, test } from "bun:test";

import { chosenModel, refusal } from "../../assets/models.js";

const models = [
  { id: "openai:big", label: "Big", unavailable: "set OPENAI_API_KEY." },
  { id: "local:small", label: "Small", unavailable: "" },
];

test("a model in the address that cannot answer is told, and another one is chosen", () => {
  expect(refusal(models, "nope:x")).toContain("nope:x");
  expect(refusal(models, "openai:big")).toContain("OPENAI_API_KEY");
  expect(refusal(models, "local:small")).toBe("");
  expect(chosenModel(models, { wanted: "nope:x", fallback: "local:small" })).toBe("local:small");
});
