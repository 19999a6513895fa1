import { expect, test } from "bun:test";
import { completeMarkdown } from "../../assets/chat/markdown/complete-markdown";
import { withReferences } from "../../assets/chat/markdown/references";
import { dropCitationMarkers } from "../../assets/chat/markdown/sanitize";

// A model that runs in circles. What looks at each character again for every other one takes minutes for so many.
const MANY = 200_000;

const withoutEnd = (text: string) => withReferences(text, null, new Map());

function withoutCitations(value: string): string {
  const text = { type: "text" as const, value };
  dropCitationMarkers()({ type: "root", children: [{ type: "paragraph", children: [text] }] });
  return text.value;
}

test("blank lines at the end of a block are left out, and those before its text stay", () => {
  expect(withoutEnd("a  \n \t\n\n  ")).toBe("a  ");
  expect(withoutEnd("a\n\n b \t")).toBe("a\n\n b \t");
  expect(withoutEnd("\n \n")).toBe("");
  const blank = "\n".repeat(MANY);
  expect(withoutEnd(`${blank}x`) === `${blank}x`).toBe(true);
  expect(withoutEnd(`x${blank}`)).toBe("x");
});

test("marks of citations that do not close are text, and are not shown while they may", () => {
  expect(withoutCitations("a 【1†source】 b 【2†c")).toBe("a b 【2†c");
  expect(completeMarkdown("a 【1†source】 b 【2†c")).toBe("a 【1†source】 b");
  expect(completeMarkdown("a \uE200cite\uE202x\uE201 b \uE200cite\uE202x")).toBe("a \uE200cite\uE202x\uE201 b");
  expect(withoutCitations("【1†".repeat(MANY))).toHaveLength(3 * MANY);
  expect(completeMarkdown(`${"【1†".repeat(MANY)}】`)).toHaveLength(3 * MANY + 1);
  expect(completeMarkdown(`${"\uE200".repeat(MANY)}\uE201`)).toHaveLength(MANY + 1);
});
