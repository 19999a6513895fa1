// Faults of streaming pages from public reports: a text fed character by character, and what is shown after each one.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { crc32 } from "../../assets/chat/store/checksum";
import type { Frame } from "../../assets/chat/store/frames";
import { ActionsProvider } from "../../assets/chat/transcript/actions";
import { Message } from "../../assets/chat/transcript/message";
import { renderChat, screen, waitFor } from "./dom";
import { message, open, streaming } from "./messages";

// A busy machine is no failure.
setDefaultTimeout(120_000);
// Without the whole page in the message of a failure.
const PLAINLY = { onTimeout: (error: Error) => error, timeout: 60_000 };
const actions = { retry: () => {}, continue: () => {}, decide: () => {} };

/** What is shown after each character, without code, and the answer at the end. */
function stream(text: string, look: (answer: HTMLElement) => void = () => {}) {
  const { feed } = renderChat(
    <ActionsProvider value={actions}>
      <Message id="a" last eager />
    </ActionsProvider>,
  );
  feed(open([streaming("a", "", 0)]));
  const samples: string[] = [];
  let offset = 0;
  for (const character of text) {
    feed({ m: "a", s: samples.length + 1, p: 0, o: offset, t: character });
    offset += character.length;
    const answer = screen.getByTestId("answer");
    samples.push(textOutsideCode(answer));
    look(answer);
  }
  const end = { k: "end", m: "a", s: samples.length + 1, status: "finished", stop_reason: "stop" } as const;
  feed({ ...end, length: text.length, c: crc32(text) } satisfies Frame);
  return { samples, answer: screen.getByTestId("answer") };
}

/** The answer, loaded as a whole. */
function whole(text: string) {
  const { feed } = renderChat(
    <ActionsProvider value={actions}>
      <Message id="a" last eager />
    </ActionsProvider>,
  );
  feed(open([message("a", text)]));
  return { answer: screen.getByTestId("answer") };
}

function textOutsideCode(answer: HTMLElement): string {
  const copy = answer.cloneNode(true) as HTMLElement;
  for (const code of copy.querySelectorAll("figure.code")) code.remove();
  return copy.textContent ?? "";
}

function texts(answer: HTMLElement, selector: string): (string | null)[] {
  return [...answer.querySelectorAll(selector)].map((element) => element.textContent);
}

function expectNever(samples: string[], pattern: RegExp): void {
  expect(samples.filter((sample) => pattern.test(sample))).toEqual([]);
}

/** Every sample is a beginning of the final text but for its last three characters. */
function expectPrefixes(samples: string[], final: string): void {
  const wrong = samples.filter(
    (sample) => !final.startsWith(sample.slice(0, Math.max(0, sample.trimEnd().length - 3))),
  );
  expect(wrong).toEqual([]);
}

describe("no half of a construct is shown", () => {
  test("a link within bold, bold within a heading, code within bold", () => {
    const text =
      "Start here:\n\n1. **[Planner](https://example.org/plan?a=1&b=2)** – draws.\n2. *[Dates](https://example.org/d)* by town.\n\n" +
      "Keep **the `seeds.csv` file** open, run **`plan --all`** once.\n\n### 1. **[Next](https://example.org/n)**\n\nDone.";
    const { samples, answer } = stream(text);
    expectNever(samples, /\*|\]\(|https:\/\/|streamdown/);
    expect(texts(answer, "strong")).toEqual(["Planner", "the seeds.csv file", "plan --all", "Next"]);
    expect(texts(answer, "strong > a, em > a")).toEqual(["Planner", "Dates", "Next"]);
  });

  test("a table that follows a sentence, in a list, in a quote, without outer bars", () => {
    const text =
      "Compare:\n| Plan | Price |\n|---|---|\n| Basic | 5 |\n\n- In a list:\n\n  | Day | Task |\n  |---|---|\n  | Mon | Sow |\n\n" +
      "> | In | Quote |\n> |---|---|\n> | 1 | 2 |\n\nName | Age\n--- | ---\nAnn | 30\n\nDone.";
    let blocks = 0;
    const { samples, answer } = stream(text, (now) => {
      const count = now.querySelectorAll(".block").length;
      expect(count).toBeGreaterThanOrEqual(blocks);
      blocks = count;
    });
    expectNever(samples, /\||---/);
    expect(answer.querySelectorAll("table").length).toBe(4);
  });

  test("a footnote or a reference shows its mark or its text before its definition is there", () => {
    const text =
      "Bees see ultraviolet.[^1] Some use that.[^guide] Read [the survey][s] too.\n\nA middle paragraph.\n\n" +
      "[^1]: First note.\n[^guide]: Second *note*.\n\n[s]: https://example.org/survey\n";
    const { samples, answer } = stream(text);
    expectNever(samples, /\[\^|\]\[/);
    expect(texts(answer, "p > sup")).toEqual(["1", "guide"]);
    expect(answer.querySelector("p > a")?.getAttribute("href")).toBe("https://example.org/survey");
  });

  test("what is never defined is shown as it was written once the answer is complete", () => {
    const { answer } = stream("See [the survey][s], m[0][1] and that.[^x]\n\nEnd.");
    expect(answer.textContent).toBe("See [the survey][s], m[0][1] and that.[^x]End.");
  });
});

describe("formulas", () => {
  const formulasOf = (answer: HTMLElement) =>
    [...answer.querySelectorAll(".katex annotation")].map((source) => source.textContent);
  const typeset = async (answer: HTMLElement, count: number) => {
    await waitFor(() => expect(answer.querySelectorAll(".katex").length).toBe(count), PLAINLY);
    return formulasOf(answer);
  };

  test("in all delimiters, with everything that Markdown would take for its own", async () => {
    const text =
      "The area is \\(A = \\pi r^2\\), so:\n\n\\[\n\\int_{0}^{R} 2\\pi r_{1} \\, dr = \\pi R^{2} \\\\\nb_{1} * b_{2} < 5\n\\]\n\n" +
      "In one line: \\[ x^2 + y^2 = z^2 \\] holds for $z \\ge 0$.\n\n$$\nf(x) = \\{ x \\mid x > 0 \\}\n\n+ 1\n- 2\n= 3\n$$\n\nEnd **$a_1$**.";
    const { samples, answer } = stream(text, (now) => expect(texts(now, "em, ul, h3, h4")).toEqual([]));
    expectNever(samples, /streamdown|\]\(|[$\\\uE000-\uF8FF]/);
    const sources = await typeset(answer, 6);
    expect(sources).toEqual([
      "A = \\pi r^2",
      "\\int_{0}^{R} 2\\pi r_{1} \\, dr = \\pi R^{2} \\\\\nb_{1} * b_{2} < 5",
      "x^2 + y^2 = z^2",
      "z \\ge 0",
      "f(x) = \\{ x \\mid x > 0 \\}\n\n+ 1\n- 2\n= 3",
      "a_1",
    ]);
    expect(answer.querySelectorAll(".katex-display").length).toBe(3);
    expect(answer.querySelectorAll("strong .katex").length).toBe(1);
  });

  test("in lists, quotes, tables and headings", async () => {
    const text =
      "# On $e^x$\n\n- item \\(a*b*c\\)\n\n  \\[\n  - x\n  \\]\n\n> $$\n> a\n> + b\n> $$\n\n| f | g |\n|---|---|\n| $|x|$ | $5 |\n\nEnd.";
    const { samples, answer } = stream(text);
    expectNever(samples, /\\|\[|\*|\||\$[^5]|\$$/);
    expect(await typeset(answer, 5)).toEqual(["e^x", "a*b*c", "- x", "a\n+ b", "|x|"]);
    expect(texts(answer, "td")[1]).toBe("$5");
  });

  test.each([
    "It costs $5 and $10.",
    "From $5–$10, or $1,299.99 (about 1200 €) and US$3 or 10$ a piece.",
    "**$5** and **$10**, $20/month vs. $30/month, $5M. The rest is $6M.",
    `Set $HOME and $PATH, or ${"$"}{a}${"$"}{b}, to $x in 1 of $y places.`,
    "A price of $ 5 and 6 $ each, $$$ for all, 菜 $5，汤 $6。",
  ])("money is text: %s", (text) => {
    const { samples, answer } = stream(text);
    expect(texts(answer, ".tex")).toEqual([]);
    const plain = text.replaceAll("**", "");
    expect(answer.textContent).toBe(plain);
    // What may still become a formula is held back, for some words at most; what was shown stays.
    for (const sample of samples) expect(plain.startsWith(sample.trimEnd())).toBe(true);
    for (const [i, sample] of samples.entries()) expect(i + 1 - sample.length).toBeLessThan(24);
  });

  test("none is in code, and an escaped bracket is none", () => {
    const text =
      "Use `\\(a\\)` and `$x$`, see \\[1\\] and \\[a note\\](b).\n\n- code:\n\n  ```sh\n  echo $$ \\[ x \\]\n  ```\n\n        \\(x\\)\n";
    const { answer } = stream(text);
    expect(texts(answer, ".tex").length).toBe(0);
    expect(texts(answer, "p code")).toEqual(["\\(a\\)", "$x$"]);
    expect(texts(answer, "pre")).toEqual(["echo $$ \\[ x \\]", "  \\(x\\)"]);
    expect(answer.textContent).toContain("see [1] and [a note](b).");
  });

  test("a formula that is not valid is shown as its source, with what is wrong with it", async () => {
    const { answer } = stream("See \\(\\nosuch{x}\\) and $$\\frac{1}$$ here.");
    await waitFor(() => expect(answer.querySelectorAll(".tex[data-state=invalid]").length).toBe(2), PLAINLY);
    expect(texts(answer, ".tex code")).toEqual(["\\nosuch{x}", "\\frac{1}"]);
    expect(answer.querySelector(".tex-message")?.textContent).toContain("Undefined control sequence: \\nosuch");
  });

  test("one that never closes is text in the end", () => {
    const { samples, answer } = stream("A sum \\[ 1 + 2 and so on");
    expect(samples.at(-1)).toBe("A sum ");
    expect(answer.textContent).toBe("A sum [ 1 + 2 and so on");
  });

  test.each([
    ["braces", `${"{".repeat(5000)}x${"}".repeat(5000)}`],
    ["nested braces", `${"{".repeat(2000)}x${"}".repeat(2000)}`],
    ["nested roots", "\\sqrt".repeat(900)],
    ["definitions", `\\def\\a{${"x".repeat(400)}}${"\\a".repeat(400)}`],
    ["a length", "\\rule{9999em}{9999em}"],
  ])("what is too much is said or bounded: %s", async (_name, tex) => {
    const { answer } = whole(`A formula:\n\n$$${tex}$$\n\nEnd.`);
    await waitFor(() => expect(texts(answer, "[data-state=pending]")).toEqual([]), PLAINLY);
    expect(answer.textContent?.length).toBeGreaterThan(0);
  });
});

describe("what is no construct is shown as it is", () => {
  test.each([
    "Delete all *.log files in the folder first, and only then go on.",
    "In Python 2 ** 3 is eight and nothing in this line is bold.",
    "A single ` character is not code here, and the sentence goes on.",
    "Edit /etc/*.conf and ~/.bashrc, keep _private names as they are, and count 5 * 6 * 7.",
  ])("%s", (text) => {
    const { samples, answer } = stream(text, (now) => expect(now.querySelector("em, strong, code")).toBeNull());
    expect(answer.textContent).toBe(text);
    expectPrefixes(samples, text);
  });

  test("emphasis by underscores is shown as such, however many words it has", () => {
    const { samples } = stream("It is _two words_ and __three bold words__ here.");
    expectNever(samples, /_/);
  });

  test("text in angle brackets is held back for a word at most", () => {
    const text =
      'Use List<String> and <T extends Comparable<T>>, #include <stdio.h>, and if a<b && c>d then stop. Tags like <div class="x"> stay.';
    const { samples, answer } = stream(text);
    expect(answer.textContent).toBe(text);
    expectPrefixes(samples, text);
  });

  test("a break that is talked about is text; a bare one in a cell breaks the line", () => {
    const { answer } = stream("Write `<br>`, that is &lt;br&gt;, or \\<br>.\n\n| a |\n|---|\n| one<br>two |\n\nEnd.");
    expect(answer.querySelector("p")?.textContent).toBe("Write <br>, that is <br>, or <br>.");
    expect([answer.querySelectorAll("p br").length, answer.querySelectorAll("td br").length]).toEqual([0, 1]);
  });
});

describe("languages other than English", () => {
  test("emphasis whose inner edge is a quote, a colon or a bracket", () => {
    const text =
      '请注意**「备份」**这一步，并且**重要：**先保存。\n\n- **第一步：**打开\n- **下载（推荐）**后\n\n한국어로는 **"빠른 시작"**은 여기.\n\nこれは**『手引き』**の例です。';
    const { samples, answer } = stream(text);
    expectNever(samples, /\*/);
    const bold = ["「备份」", "重要：", "第一步：", "下载（推荐）", '"빠른 시작"', "『手引き』"];
    expect(texts(answer, "strong")).toEqual(bold);
  });

  test("an address ends before full-width punctuation and the marks of bold around it", () => {
    const text =
      "在 https://example.org/recipes，很好（来源 https://example.org/b）。\n\n表：**https://example.org/change/7**（五）。\n\n" +
      "日本: https://example.org/harbor。雨。\n\nWhole: https://example.org/wiki/東京 and https://example.org/a*b_c/__init__.py.";
    const { samples, answer } = stream(text);
    expectNever(samples, /\*\*/);
    expect([...answer.querySelectorAll("a")].map((link) => link.getAttribute("href"))).toEqual([
      "https://example.org/recipes",
      "https://example.org/b",
      "https://example.org/change/7",
      "https://example.org/harbor",
      "https://example.org/wiki/%E6%9D%B1%E4%BA%AC",
      "https://example.org/a*b_c/__init__.py",
    ]);
    expect(answer.querySelector("strong > a")?.textContent).toBe("https://example.org/change/7");
  });

  test("items and cells have a direction of their own; code has none to give", () => {
    const { answer } = stream(
      "- API: نقطة\n- ثم افتح\n\n| API | الوصف |\n|---|---|\n| GET | يعيد |\n\n`npm i` را اجرا کنید.",
    );
    for (const element of answer.querySelectorAll("li, th, td")) expect(element.getAttribute("dir")).toBe("auto");
    expect(answer.querySelector("p > code")?.getAttribute("dir")).toBe("ltr");
    expect(answer.querySelector("p")?.hasAttribute("dir")).toBe(false);
  });

  test("what still changes is not translated: a translation would replace its text", () => {
    let open = 0;
    const { answer } = stream("One *word* and more.\n\nAnother.", (now) => {
      open += now.querySelectorAll(".block[translate=no]").length;
    });
    expect(open).toBeGreaterThan(20);
    expect(answer.querySelector("[translate=no]")).toBeNull();
  });
});

test("lines that end with a newline stay lines", () => {
  const { answer } = stream("Post it to:\n12 Example Lane\nSampletown\n\n- an item\n  of two lines\n");
  expect([answer.querySelectorAll("p br").length, answer.querySelectorAll("li br").length]).toEqual([2, 1]);
});

test("markers of web searches are not shown, however they are cut", () => {
  const text =
    "Kites rose in May. \uE200cite\uE202turn0search0\uE202turn0news3\uE201 They fell in June.【4†source】 The rest was flat.";
  const { samples, answer } = stream(text);
  expect(answer.textContent).toBe("Kites rose in May. They fell in June. The rest was flat.");
  expectNever(samples, /cite|turn0|【|[\uE000-\uF8FF]/);
});

test("a Markdown file in a fence keeps the fences within it", () => {
  const file = "# Station\n\n```bash\npip install x\n```\n\nThen open it.";
  const { answer } = stream(`Here:\n\n\`\`\`markdown\n${file}\n\`\`\`\n\nSave it.`);
  expect(texts(answer, "figure.code pre")).toEqual([file]);
  expect(texts(answer, "p")).toEqual(["Here:", "Save it."]);
});

test("a fence ends at one of its own kind and length, in a list too, and none of its characters is shown", () => {
  const text =
    "````markdown\n```bash\nls -la\n```\n````\n\n1. In a list:\n\n   ````md\n   ```js\n   a()\n   ```\n   ````\n\n2. Next.\n\n" +
    "~~~text\n``` not a fence\n~~~\n\nEnd.\n";
  const { samples, answer } = stream(text);
  expect(texts(answer, "pre")).toEqual(["```bash\nls -la\n```", "```js\na()\n```", "``` not a fence"]);
  expect(texts(answer, "figcaption > :first-child")).toEqual(["markdown", "md", "text"]);
  expect(answer.querySelector("ol[start='2'], ol > li:nth-child(2)")?.textContent).toContain("Next.");
  expectNever(samples, /`|~/);
});

test("a note and its mark keep their look", () => {
  const { answer } = stream("Text[^1].\n\n[^1]: A note.\n");
  expect(texts(answer, "p > sup.footnote-mark")).toEqual(["1"]);
  expect(texts(answer, ".footnote > sup.footnote-mark")).toEqual(["1"]);
});

test("a footnote's mark leads to its note, and that back to the mark that was left", () => {
  const { answer } = stream("One[^1], two[^b], and one again[^1].\n\n[^1]: A note.\n[^b]: Another.\n");
  answer.classList.add("message");
  const marks = [...answer.querySelectorAll<HTMLElement>("a")];
  expect(marks.map((mark) => mark.textContent)).toEqual(["1", "b", "1", "1", "b"]);
  for (const [from, to] of [
    [2, 3],
    [3, 2],
    [0, 3],
    [3, 0],
    [1, 4],
    [4, 1],
  ]) {
    marks[from].click();
    expect(marks.indexOf(document.activeElement as HTMLElement)).toBe(to);
  }
});

test("the headings of an answer are below those of the page, in their order", () => {
  const { answer } = stream("# Plan\n\nText.\n\n## Part\n\n### Detail\n\n###### Deep\n");
  const headings = [...answer.querySelectorAll("h1, h2, h3, h4, h5, h6")];
  expect(headings.map((heading) => heading.tagName)).toEqual(["H3", "H4", "H5", "H6"]);
});

test("a list with long numbers has room for them", () => {
  const { answer } = stream("99998. One.\n99999. Two.\n");
  expect(answer.querySelector("ol")?.style.paddingInlineStart).toBe("6.25ch");
});
