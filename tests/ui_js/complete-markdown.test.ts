import { describe, expect, test } from "bun:test";

import { BlockSplitter } from "../../assets/chat/markdown/block-splitter";
import { fencedCode } from "../../assets/chat/markdown/code-fence";
import { completeMarkdown } from "../../assets/chat/markdown/complete-markdown";
import { html } from "./pipeline";

const FORMATTED = {
  bold: "A **bold** word and __another__ one.",
  italic: "An *italic* word, _another_ and ***both***.",
  code: "Call `f(x)` or ``g`h`` now.",
  strike: "It is ~~gone~~ now.",
  link: "See [the docs](https://example.org/a_b_c) and <https://example.org>.",
  image: "Look: ![a picture](https://example.org/p.png) here.",
  headings: "# One\n\n## Two **bold**\n\nSetext\n======\n\nSecond\n------\n\nend",
  bullets: "- one **bold**\n- two `code`\n  - inner *it*\n\n* star\n* star two\n\n+ plus",
  numbers: "1. one\n2. two\n   1. inner\n10. ten",
  tasks: "- [ ] open\n- [x] done",
  quote: "> quoted **bold**\n> more\n\nend",
  table: "| a **b** | c |\n|:--|--:|\n| `1` | 2 |\n| 3 | *4* |",
  rule: "above\n\n---\n\nbelow\n\n***\n\nend",
  fence: "```python\nprint('**no bold**')\n# no heading\n```\n\nafter **it**",
  "list with code": "- item\n\n  ```js\n  const a = '*';\n  ```\n\n- next **b**",
  definition: "See [one][1].\n\n[1]: https://example.org/one",
};
// What a finished block may show of each of these characters is what an unfinished one may show.
const MARKERS = [
  "**",
  "*",
  "__",
  "_",
  "`",
  "~~",
  "](",
  "|",
  "#",
  "---",
  "===",
  "![",
  "[ ]",
  "[x]",
  "- ",
  "1. ",
  "> ",
  "```",
  "[1]:",
];

const visible = (html: string) =>
  html
    .replace(/<[^>]*>/g, "\u0001")
    .replaceAll("&lt;", "<")
    .replaceAll("&amp;", "&");

describe("fed one character at a time, no raw marker of what ends formatted is ever shown", () => {
  function shown(kind: string, text: string, open: boolean): string {
    if (kind === "fence") {
      const code = fencedCode(text, open)?.code ?? "";
      return `<pre><code>${code.replaceAll("<", "&lt;")}</code></pre>`;
    }
    return html(open ? completeMarkdown(text) : text);
  }

  function render(splitter: BlockSplitter): string[] {
    const blocks = splitter.closed.map((block) => shown(block.kind, block.text, false));
    if (splitter.open) blocks.push(shown(splitter.openKind, splitter.open, true));
    return blocks;
  }

  for (const [name, text] of Object.entries(FORMATTED)) {
    test(name, () => {
      const whole = new BlockSplitter();
      whole.push(text);
      whole.end();
      const final = visible(render(whole).join(""));
      const splitter = new BlockSplitter();
      let elements = 0;
      for (const character of text) {
        splitter.push(character);
        const blocks = render(splitter);
        const now = visible(blocks.join(""));
        for (const marker of MARKERS) {
          const seen = now.split(marker).length - 1;
          const allowed = final.split(marker).length - 1;
          expect({ marker, seen: seen <= allowed, now }).toEqual({ marker, seen: true, now });
        }
        const count = blocks.filter(Boolean).length;
        expect({ now, fell: count < elements }).toEqual({ now, fell: false });
        elements = count;
      }
    });
  }
});

test("text that only looks like a beginning is shown when more follows", () => {
  expect(completeMarkdown("a * b")).toBe("a * b");
  expect(completeMarkdown("| is a bar")).toContain("is a bar");
  expect(completeMarkdown("1 apple")).toBe("1 apple");
  expect(completeMarkdown("[note] text")).toBe("[note] text");
});

test("code is left as it is", () => {
  const text = "- x\n\n  ```\n  a **b\n  --";
  expect(completeMarkdown(text)).toBe(text);
});
