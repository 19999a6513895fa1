import { describe, expect, test } from "bun:test";
import { isReview, type Measured, verdict } from "../../assets/chat/lab/comparisons";
import { chosen } from "../../assets/chat/lab/form";
import {
  clockOffset,
  messageOf,
  numberOf,
  queryOf,
  questionFrom,
  speedup,
  toCsv,
  USUAL,
  WordCounter,
  wordsRead,
} from "../../assets/chat/lab/measure";

const question = { ...USUAL, model: "simulator:tour", prompt: "Why?" };

describe("words", () => {
  test("are the same however the text is cut", () => {
    const text = " One two,\nthree  four-five 漢字 ";
    for (let cut = 0; cut <= text.length; cut += 1) {
      const counter = new WordCounter();
      counter.add(text.slice(0, cut));
      expect(counter.add(text.slice(cut))).toBe(5);
    }
  });

  test("are read no faster than one reads, and never before they arrive", () => {
    const all = [[1000, 500]] as const; // at once, after a second
    expect(wordsRead(all, 1000, 240)).toBe(0);
    expect(wordsRead(all, 11_000, 240)).toBe(40);
    expect(wordsRead(all, 1_000_000, 240)).toBe(500);
    const slow = [
      [0, 1],
      [10_000, 2],
      [10_500, 3],
    ] as const;
    expect(wordsRead(slow, 9000, 240)).toBe(1);
    expect(wordsRead(slow, 10_250, 240)).toBe(2);
    expect(wordsRead(slow, 60_000, 240)).toBe(3);
    expect(wordsRead([], 60_000)).toBe(0);
  });
});

test("the speed-up is the quotient, and nothing if one of the two is not known", () => {
  expect(speedup(10_500, 525)).toBe(20);
  expect([speedup(null, 1), speedup(1, null), speedup(1, 0)]).toEqual([null, null, null]);
});

test("the server's clock counts unless it contradicts the request and its response", () => {
  expect(clockOffset(1050, 1000, 1100)).toBe(0);
  expect(clockOffset(91_050, 1000, 1100)).toBe(-90_000);
  expect(clockOffset(50, 1000, 1100)).toBe(1000);
});

test("the form's numbers are words for the simulator only, and those of the prompt count", () => {
  expect(messageOf(question)).toBe("Why? ttft=500 rate=50 n=500 jitter=0 kind=markdown");
  expect(messageOf({ ...question, prompt: "n=3 rate=9", n: 500, jitter: null })).toBe("n=3 rate=9 ttft=500");
  expect(messageOf({ ...question, prompt: "kind=numbered" })).not.toContain("markdown");
  expect(messageOf({ ...question, model: "openai:gpt" })).toBe("Why?");
});

test("an address fills in the form it came from, and nothing that a form could not say", () => {
  const asked = { ...question, prompt: "Why & how? n=7", ttft: 0, jitter: 40.5 };
  expect(questionFrom(queryOf(asked))).toEqual(asked);
  expect(questionFrom(queryOf({ ...question, model: "openai:gpt" })).model).toBe("openai:gpt");
  expect(questionFrom("ttft=-1&rate=fast&n=1e99&jitter=&prompt=&model=x")).toEqual({
    ...USUAL,
    n: 1_000_000,
    model: "x",
  });
  expect(questionFrom(`prompt=${"x".repeat(9000)}`).prompt).toHaveLength(4000);
  expect([numberOf("NaN"), numberOf("Infinity"), numberOf(" "), numberOf("12.5")]).toEqual([null, null, null, 12.5]);
});

test("the model of the address counts if it can be used", () => {
  expect(chosen("local:a", ["local:a", "simulator:tour"])).toBe("local:a");
  expect(chosen("gone", ["local:a", "simulator:tour"])).toBe("simulator:tour");
  expect(chosen("", ["local:a", "simulator:slow"])).toBe("simulator:slow");
  expect(chosen("", ["local:a"])).toBe("local:a");
  expect([chosen("", []), chosen("named", null)]).toEqual(["", "named"]);
});

test("the table has one line per transport, and nothing in the place of what is not known", () => {
  const off = { first_ms: null, last_ms: null, bytes: 0, words: 0, words_read: 0, speedup: null };
  const lines = toCsv([
    {
      ...off,
      ...{ transport: "sse-fetch", state: "done", first_ms: 1.5, last_ms: 9, bytes: 7, words: 2, words_read: 1 },
      speedup: 6,
    },
    { ...off, transport: "grpc", state: "off" },
  ]).split("\r\n");
  expect(lines).toEqual([
    "transport,state,first_ms,last_ms,bytes,words,words_read,speedup",
    "sse-fetch,done,1.5,9,7,2,1,6",
    "grpc,off,,,0,0,0,",
    "",
  ]);
});

test("JSON can be used when it is whole and by its schema", () => {
  const whole = '{"sentiment": "positive", "score": 2, "city": "Paris"}';
  for (let length = 0; length < whole.length; length += 1) expect(isReview(whole.slice(0, length))).toBe(false);
  expect(isReview(whole)).toBe(true);
  for (const wrong of [
    whole.replace("2", "6"),
    whole.replace("2", "2.5"),
    whole.replace("positive", "good"),
    whole.replace("}", ', "more": 1}'),
    "null",
    "[]",
  ]) {
    expect(isReview(wrong)).toBe(false);
  }
});

test("the verdict says what the numbers say", () => {
  const measured = (usable: number | null, events: number): Measured => ({
    ...{ usable, events, bytes: 10, vain: 0, value: "" },
  });
  const of = (streamed: number | null, buffered: number | null) =>
    verdict({ streamed: measured(streamed, 9), buffered: measured(buffered, 1) });
  expect(of(1000, 1040)).toContain("usable at the same moment, with 1 message instead of 9");
  expect(of(1000, 700)).toContain("usable 300 ms sooner");
  expect(of(1000, 1500)).toBe("Here streaming was usable 500 ms sooner.");
  expect(of(null, null)).toContain("no answer that can be used");
  expect(of(1, null)).toContain("Only one");
});
