import { describe, expect, test } from "bun:test";

import { completeMarkdown } from "../../assets/chat/markdown/complete-markdown";
import { isIntricate } from "../../assets/chat/markdown/intricate";

const CONTAINERS = ["- ", "1. ", "> ", ">", "+ ", "* ", "> - ", "9) "];
const MARKERS = ["*", "_", "a*", "*_", "~~a", "`a", "[", "[a](", "![", "**a**b", "a*\n", "*_ "];

describe("text that a parser would take seconds for", () => {
  test.each(CONTAINERS)("containers: %p", (unit) => {
    expect(isIntricate(`${unit.repeat(5000)}a`)).toBe(true);
    expect(isIntricate(`before\n\n${unit.repeat(100)}a\nafter`)).toBe(true);
    expect(isIntricate(`${unit.repeat(10)}a`)).toBe(false);
  });

  test.each(MARKERS)("markers: %p", (unit) => {
    expect(isIntricate(`${unit.repeat(5000)}b`)).toBe(true);
    expect(isIntricate(`${unit.repeat(50)}b`)).toBe(false);
  });

  test("long texts of the usual kind are not", () => {
    for (const line of [
      "- **one** `two` [three](https://example.org)\n",
      "**a** b\n\n",
      "word ".repeat(40),
      "| *a* | b |\n\n",
    ]) {
      expect(isIntricate(line.repeat(3000))).toBe(false);
    }
    expect(isIntricate(`| a | b |\n|---|:-:|\n${"| **c** | `d` |\n".repeat(3000)}`)).toBe(false);
    expect(isIntricate("")).toBe(false);
    expect(isIntricate("\n\n")).toBe(false);
  });
});

describe("the end of an open block", () => {
  test.each([...MARKERS, ...CONTAINERS, "~", "`", "<", "<a", "\\*", "](", "|", "\\", "![a](b", "~_", " ", "\t"])(
    "takes linear time: %p",
    (unit) => {
      // With quadratic time, a hundred thousand characters would take half a minute.
      const text = unit.repeat(Math.ceil(100_000 / unit.length));
      for (const end of ["", " a", "\nb"]) completeMarkdown(text + end);
    },
    60_000,
  );
});
