import { describe, expect, test } from "bun:test";
import { tests as examples } from "commonmark-spec";

import { BlockSplitter } from "../../assets/chat/markdown/block-splitter";
import { fencedCode } from "../../assets/chat/markdown/code-fence";
import { withReferences } from "../../assets/chat/markdown/references";
import { html } from "./pipeline";

const CASES = {
  paragraphs: "one\ntwo\n\nthree\n\n\n\nfour",
  headings: "# One\ntext\n## Two\n### Three\n\nSetext\n======\n\nAnother\n---\ntext",
  emphasis: "**bold\nstill** and *it*\n\n***\n\n- - -\n\n* * *",
  list: "Before:\n- one\n- two\n\n  more of two\n- three\n\nafter\n\n1. a\n2. b\n\n\n3. c\n\n10) x",
  "list without blanks": "Text\n1. one\n2. two\nlazy\n# Heading\n- a\n```js\ncode\n```\n- b",
  "other bullets": "- a\n- b\n\n* c\n* d\n\n+ e\n\n1. x\n\n1) y",
  "bullets that change": "- a\n+ b\n\n+ c\n\n - d\n\n + e",
  nested: "1. one\n\n   - inner\n\n     text\n\n   - inner two\n\n         code\n2. two\n\n    more",
  "code in a list": "- item\n\n  ```py\n  a\n\n  b\n  ```\n\n- next\n\n```\nx\n```\n",
  "unclosed code in a list": "- ```\n  a\n\n# b\n\n  c",
  fences: "text\n```python\nprint(1)\n\n\n# no heading\n- no list\n```\ntext\n~~~\n```\n~~~\n````md\n```\n````\n",
  "fence that is none": "``` a ` b\n\ntext\n``\n\n```x\nopen\n\n- x",
  indented: "a\n\n    code\n\n    more\n  text\n\n\ttab",
  quotes: "> one\n> two\nlazy\n\n> three\n> ```\n> code\nafter\n\n> > deep\n> - list\n> - list\n\n- x\n> y",
  tables: "| a | b |\n|---|:-:|\n| 1 | 2 |\n| 3 | 4<br>5 |\n\ntext | x\n--- | ---\na | b\n- list",
  rules: "a\n\n---\nb\n\n- x\n---\n- y\n***\nz",
  references:
    'See [one][1] and [two].\n\n- [x] done\n\n[1]: https://example.org/a\n[two]: <https://example.org/b> "title"\n\nAnd [ONE][1] again.',
  "references within text": "text\n[no]: https://example.org\n\n[no] [yes]\n\n[yes]: https://example.org\ntext",
  footnotes: "Text[^1] and[^note].\n\n[^1]: First.\n\n    Continued.\n\n[^note]: Second.\n- list\n\n- list\n\nEnd[^1].",
  html: "<div>\n\n**bold**\n\n</div>\n<!-- a\n\nb -->\n<script>\nalert(1)\n\n</script>\nafter",
  "lines that are no table": "> q\n| a |\n|---|\n| b |\n\n| a | b |\n|---|\n\n| a |\n|---|\ntext\n| b |\n# h\n",
  "display formulas": "so:\n\\[\na\n\n- b\n# c\n\\] and\n\nthus $$\nx\n+ y\n$$ with $$z$$\n\n\\[ open\n\nend",
  math: "Text\n$$\nx\n\n# y\n$$\nafter\n\n$$a$$\n\n$$\nopen\n\nend",
  "line ends": "a\r\n\r\nb\r\n```\r\nc\r\n\r\nd\r\n```\r\ne\r\rf",
  characters: "héllo 👩‍👩‍👧‍👦\n\n漢字\u00a0\n\n- ẞ\n\n\u2028x\n\n\u0000y",
  spaces: "  a\n \n\t\n   b\n\n\n",
  empty: "",
  "markers that wait": "- a\n\n1\n\n- b\n\n--\n\n- c\n\n-x\n\n1. d\n\n**b**\n\n12345678901. e\n\n_\n\n___",
};
const spec = Object.fromEntries(
  examples.map(({ markdown, number }) => [`spec ${number}`, markdown.replaceAll("→", "\t")]),
);
const all = { ...CASES, ...spec };
// Of these, more than one block belongs together.
const TOGETHER = {
  "long table": `Before\n| a | b |\n|---|:-:|\n${"| 1 | 2 |\n".repeat(120)}| 3 | 4 |\n\nafter\n| c |\n| - |\n${"| x |\n".repeat(60)}- item\n`,
};

function split(pieces: string[]): BlockSplitter {
  const splitter = new BlockSplitter();
  for (const piece of pieces) splitter.push(piece);
  splitter.end();
  return splitter;
}

const shown = (splitter: BlockSplitter) => splitter.closed.map(({ kind, text }) => [kind, text]);

// A linear congruential generator of numbers in [0, 1).
function seeded(seed: number): () => number {
  let x = seed;
  return () => {
    x = (x * 1103515245 + 12345) % 2147483648;
    return x / 2147483648;
  };
}

describe("the blocks joined are the text", () => {
  for (const [name, text] of Object.entries({ ...all, ...TOGETHER })) {
    test(name, () => {
      expect(split([text]).text).toBe(text.replace(/\r\n?/g, "\n"));
      expect(split([text]).length).toBe(text.length);
    });
  }
});

describe("any pieces give the same blocks as the whole, and the number of blocks never falls", () => {
  for (const [name, text] of Object.entries({ ...all, ...TOGETHER })) {
    test(name, () => {
      const whole = shown(split([text]));
      for (let at = 0; at <= text.length; at += 1) {
        expect(shown(split([text.slice(0, at), text.slice(at)]))).toEqual(whole);
      }
      const splitter = new BlockSplitter();
      let count = 0;
      for (const character of text) {
        const before = shown(splitter);
        splitter.push(character);
        expect(shown(splitter).slice(0, before.length)).toEqual(before);
        const now = splitter.closed.length + (splitter.open ? 1 : 0);
        expect(now).toBeGreaterThanOrEqual(count);
        count = now;
      }
      splitter.end();
      expect(shown(splitter)).toEqual(whole);
      expect(splitter.closed.length).toBeGreaterThanOrEqual(count);
    });
  }

  test("random pieces of everything together", () => {
    const text = Object.values(all).join("\n\n");
    const whole = shown(split([text]));
    const random = seeded(7);
    for (let round = 0; round < 20; round += 1) {
      const pieces: string[] = [];
      for (let at = 0; at < text.length; ) {
        const length = 1 + Math.floor(random() * 40);
        pieces.push(text.slice(at, at + length));
        at += length;
      }
      expect(shown(split(pieces))).toEqual(whole);
    }
  });

  test("an end that was none is taken back", () => {
    for (const text of Object.values(CASES)) {
      for (let at = 0; at <= text.length; at += 3) {
        const splitter = split([text.slice(0, at)]);
        splitter.push(text.slice(at));
        splitter.end();
        expect(shown(splitter)).toEqual(shown(split([text])));
      }
    }
  });
});

// Definitions over several lines, or in a quote, serve their own block only.
const OWN_BLOCK_ONLY = new Set([193, 195, 196, 198, 202, 217, 218, 541].map((number) => `spec ${number}`));

describe("blocks rendered one by one are the whole rendered at once", () => {
  for (const [name, text] of Object.entries(all).filter(([name]) => !OWN_BLOCK_ONLY.has(name))) {
    test(name, () => {
      const { closed, definitions } = split([text]);
      const pieces = closed.map((block) => html(withReferences(block.text, block.labels, definitions)));
      expect(pieces.filter(Boolean).join("\n")).toBe(html(text.replace(/\r\n?/g, "\n")));
    });
  }
});

test("a line is read once, when it is complete", () => {
  class Counting extends BlockSplitter {
    read = 0;
    protected override take(line: string, newline: string): void {
      this.read += line.length;
      super.take(line, newline);
    }
  }
  const splitter = new Counting();
  const text = Object.values(CASES).join("\n\n").repeat(20);
  for (const character of text) splitter.push(character);
  expect(splitter.read).toBeGreaterThan(text.length / 2);
  expect(splitter.read).toBeLessThanOrEqual(text.length);
});

test("typical answers are cut into small blocks", () => {
  const { closed } = split(["# Title\nIntro:\n- a\n- b\n\nText\n```js\n1\n```\n## More\n| a |\n|---|\n| b |\n\nEnd"]);
  expect(closed.length).toBe(8);
});

test("the parts of fenced code", () => {
  expect(fencedCode("```python title=x\nprint(1)\n\n```\n")).toMatchObject({
    language: "python",
    code: "print(1)\n",
    closed: true,
  });
  expect(fencedCode("\n~~~\na\n```\n")).toMatchObject({ language: "", code: "a\n```", closed: false });
  expect(fencedCode("```")).toMatchObject({ language: "", code: "", closed: false });
  expect(fencedCode("```\n```")).toMatchObject({ code: "", closed: true });
  expect(fencedCode("  ```\n  a\n  ```")).toBeNull();
});
