import { expect, test } from "bun:test";

import { matching, type Preset, placeholderFrom, queryAt } from "../../assets/chat/composer/presets";

const preset = (name: string, kind: Preset["kind"] = "preset"): Preset => ({
  id: name,
  kind,
  name,
  model: "",
  system: null,
  options: {},
  tools_off: [],
  text: "",
});

test("what is written before the caret asks for presets or prompts", () => {
  expect(queryAt("@tr", 3)).toEqual({ kind: "preset", word: "tr", from: 0, to: 3 });
  expect(queryAt("hello @", 7)).toEqual({ kind: "preset", word: "", from: 6, to: 7 });
  expect(queryAt("/sum", 4)).toEqual({ kind: "prompt", word: "sum", from: 0, to: 4 });
  for (const [text, caret] of [
    ["anna@example", 12],
    ["@two words", 10],
    ["see /usr", 8],
    ["/usr/bin", 8],
    ["@tr", 0],
    ["", 0],
  ] as const) {
    expect(queryAt(text, caret)).toBeNull();
  }
});

test("names that begin with the word come first; only those of the kind", () => {
  const all = [preset("My translator"), preset("Translator"), preset("Translate", "prompt"), preset("Brief")];
  const query = { kind: "preset", word: "TRANS", from: 0, to: 6 } as const;
  expect(matching(all, query).map(({ name }) => name)).toEqual(["Translator", "My translator"]);
});

test("placeholders are found one after the other", () => {
  const text = "Translate {text} to {language}.";
  expect(placeholderFrom(text, 0)).toEqual([10, 16]);
  expect(placeholderFrom(text, 16)).toEqual([20, 30]);
  expect(placeholderFrom(text, 30)).toBeNull();
  expect(placeholderFrom("{} {\n} {{a}}", 0)).toEqual([8, 11]);
});
