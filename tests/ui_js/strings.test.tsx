import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { render, screen, waitFor } from "@testing-library/react";
import { dollars } from "../../assets/chat/common/money";
import { chooseLanguage, LANGUAGES, strings, useStrings } from "../../assets/chat/common/strings";
import { de } from "../../assets/chat/common/strings/de";
import { en } from "../../assets/chat/common/strings/en";
import { formats } from "../../assets/chat/common/strings/formats";
import { de as labDe } from "../../assets/chat/common/strings/lab/de";
import { en as labEn } from "../../assets/chat/common/strings/lab/en";
import { distribution, type Report } from "../../assets/chat/latency/report";
import { CodeFigure } from "../../assets/chat/markdown/code-block";
import { formatTick } from "../../assets/chat/tools/plot-points";
import { formatDuration, formatSize } from "../../assets/chat/tools/values";

// Of the page /latency, as far as a distribution reads it.
const REPORT = {
  bounds: { ttft_ms: [100, 200] },
  models: [{ model: "m", figures: { ttft_ms: { counts: [1, 2, 3] } } }],
} as unknown as Report;

const ROOT = join(import.meta.dir, "../../assets/chat");

afterEach(async () => {
  chooseLanguage("en");
  await waitFor(() => expect(strings()).toBe(en));
});

// Each text as "path": "text" or its parameters.
function paths(value: object, prefix = ""): string[] {
  return Object.entries(value).flatMap(([key, text]) =>
    typeof text === "object" ? paths(text, `${prefix}${key}.`) : `${prefix}${key} ${typeof text}`,
  );
}

test("each language has every text, and none that English lacks", () => {
  expect(paths(de)).toEqual(paths(en));
  expect(paths(labDe)).toEqual(paths(labEn));
});

test("no text is empty", () => {
  const empty = (value: object): boolean =>
    Object.values(value).some((text) => (typeof text === "object" ? empty(text) : text === ""));
  expect([en, de, labEn, labDe].filter(empty)).toEqual([]);
});

test("another language is loaded when it is chosen, shown at once, named by the document, and kept", async () => {
  const Text = () => useStrings().shell.newChat;
  const { container } = render(<Text />);
  expect(container.textContent).toBe("New chat");
  expect(document.documentElement.lang).toBe("en");
  chooseLanguage("de");
  await waitFor(() => expect(container.textContent).toBe("Neuer Chat"));
  expect(document.documentElement.lang).toBe("de");
  expect(localStorage.getItem("streamchat.language")).toBe('"de"');
  chooseLanguage("en");
  await waitFor(() => expect(container.textContent).toBe("New chat"));
  expect(Object.keys(LANGUAGES)).toEqual(["en", "de"]);
});

test("plurals and numbers are those of the language", () => {
  expect(en.shell.found(1)).toBe("1 message");
  expect(en.shell.found(0)).toBe("0 messages");
  expect(de.shell.found(1)).toBe("1 Nachricht");
  expect(de.shell.found(1234)).toBe("1.234 Nachrichten");
  expect(formats("en").number(1234.5)).toBe("1,234.5");
});

test("sizes, durations, costs and the numbers of plots are those of the language", async () => {
  const shown = () => [
    ...[formatSize(2048), formatDuration(1234), dollars(0.0042), dollars(12.3), dollars(0), dollars(1e-7)],
    ...[formatTick(0.25), formatTick(1999), formatTick(15_500), formatTick("x"), formatTick(2e-5)],
    ...[labelsOfBuckets()[0], strings().common.decimal(0.1 + 0.2)],
  ];
  const labelsOfBuckets = () => distribution(REPORT, "ttft_ms", "")?.series[0].points.map(([label]) => label) ?? [];
  const english = ["2.0 KB", "1.2 s", "$0.0042", "$12.30", "$0.00", "less than $0.000001"];
  expect(shown()).toEqual([...english, "0.25", "1999", "15.5K", "x", "2E-5", "< 0.1", "0.30000000000000004"]);
  chooseLanguage("de");
  await waitFor(() => expect(strings().shell.newChat).toBe("Neuer Chat"));
  const german = ["2,0 KB", "1,2 s", "0,0042 $", "12,30 $", "0,00 $", "weniger als 0,000001 $"];
  const written = shown().map((text) => String(text).replaceAll("\xa0", " "));
  expect(written.slice(0, 6)).toEqual(german);
  expect([written[6], written[7], ...written.slice(10)]).toEqual([
    ...["0,25", "1999", "2E-5", "< 0,1", "0,30000000000000004"],
  ]);
  render(<CodeFigure language="js" code="1" />);
  expect(screen.getByTitle("Code kopieren")).toBeTruthy();
});

// What is no text of the page: the catalogue itself, and the source of what others wrote.
const WITHOUT = /^(store|common\/strings)\//;
// A literal that reads like a text for people: words with a capital at the start, or an attribute that is read out.
const TEXTS = [
  /(?:aria-label|aria-description|title|placeholder|alt|label)=(?:"[^"]*\p{L}|\{`[^`]*\p{L}{3})/u,
  /(?<!import |from |import\(|case |=== |!== )(["'`])\p{Lu}[\p{L}’]+(?:[ ,.…:!?][^"'`]*)?\1/u,
  /(["'`])(?:[^"'`{}=$/\\_<>\n]*\p{L}{2,} )+[^"'`{}=$/\\_<>\n]*[.…!?]\1/u,
];
// Names of keys, of what the browser calls something, and of companies.
const NAMES =
  /"(?:OpenAI|Anthropic|Files|Arrow\w+|Enter|Escape|Home|End|Tab|Page\w+|Backspace|Delete|Content-Type|GET|POST|PATCH|DELETE|PUT)"/g;

// Prompts, which are for models, and the name of a source.
const OTHERS = /^\s*(?:prompt|message): ["`]|READING_AUTHOR = /;

test("a date has the form of the reader's own country, in the language of the page", () => {
  const { languages } = navigator;
  const day = new Date(2026, 10, 30, 16, 31);
  const shown = () => [en, de].map((texts) => texts.transcript.fromTo(day, day));
  Object.defineProperty(navigator, "languages", { configurable: true, value: ["fr-FR", "en-GB", "en"] });
  expect(shown()[0]).toStartWith("30/11/2026, 16:31:00");
  expect(shown()[1]).toStartWith("30.11.26, 16:31:00");
  Object.defineProperty(navigator, "languages", { configurable: true, value: ["en-US"] });
  expect(shown()[0]).toStartWith("11/30/26, 4:31:00");
  Object.defineProperty(navigator, "languages", { configurable: true, value: languages });
});

test("no text for people is written where it is shown", () => {
  const found: string[] = [];
  for (const file of new Bun.Glob("**/*.{ts,tsx}").scanSync({ cwd: ROOT })) {
    if (WITHOUT.test(file) || file.endsWith(".d.ts")) continue;
    const lines = readFileSync(join(ROOT, file), "utf8").split("\n");
    for (const [index, line] of lines.entries()) {
      const code = line.replace(/(^|\s)(\/\/|\*|\/\*|\{\/\*).*$/, "").replaceAll(NAMES, '""');
      if (!OTHERS.test(line) && TEXTS.some((text) => text.test(code)))
        found.push(`${file}:${index + 1} ${line.trim()}`);
    }
  }
  expect(found).toEqual([]);
});
