// Markdown's syntax where CommonMark and GitHub's own were made for English: extensions of the parser.
//
// * Emphasis beside the punctuation of Chinese, Japanese and Korean, whose words have no spaces around them.
// * A bare address ends before such punctuation, and before the marks that close the bold around it.
// * `<br>` is the one tag that models need (in table cells): a line break. Written `\<br>` or `&lt;br&gt;` it is text.
//
// The parser (micromark) calls a state function with one UTF-16 code unit at a time: a number, or `null` at the end. Its
// own constructs are reached through the parser that calls, so that there is one version of them.

type Code = number | null;
type State = (code: Code) => State | undefined;

interface Token {
  _open?: boolean;
  _close?: boolean;
}

interface Effects {
  enter: (type: string) => Token;
  exit: (type: string) => Token;
  consume: (code: Code) => undefined;
  check: (construct: Construct, ok: State, nok: State) => State;
}

interface Context {
  previous: Code;
  parser: { constructs: { insideSpan: { null: Construct[] }; attentionMarkers: { null: Code[] } } };
}

interface Construct {
  name?: string;
  partial?: boolean;
  tokenize: (this: Context, effects: Effects, ok: State, nok: State) => State;
  resolveAll?: (events: unknown, context: Context) => unknown;
}

interface Extension {
  text?: Record<string, Construct | Construct[]>;
}

interface Processor {
  data(): object;
}

interface Data {
  micromarkExtensions?: Extension[];
  fromMarkdownExtensions?: object[];
}

const STAR = 42;
const UNDERSCORE = 95;
const CJK =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\u3000-\u303F\u30FB\u30FC\uFE30-\uFE4F\uFF00-\uFFEF]/u;
const PUNCTUATION = /[\p{P}\p{S}]/u;
// Full-width and CJK punctuation, and quotation marks: none of them is written raw in an address.
const ENDS_ADDRESS =
  /[\u2018-\u201F\u3000-\u3003\u3008-\u3011\u3014-\u301F\uFF01\uFF08\uFF09\uFF0C\uFF0E\uFF1A-\uFF1F\uFF3B\uFF3D\uFF5B-\uFF65]/;

/** Whether a run of markers can open and close emphasis, by the characters beside it ("" at an end of the text). */
export function flanking(marker: string, before: string, after: string): { opens: boolean; closes: boolean } {
  const spaceBefore = !before || /\s/.test(before);
  const spaceAfter = !after || /\s/.test(after);
  const markBefore = PUNCTUATION.test(before);
  const markAfter = PUNCTUATION.test(after);
  const left = !spaceAfter && (!markAfter || CJK.test(after) || spaceBefore || markBefore || CJK.test(before));
  const right = !spaceBefore && (!markBefore || CJK.test(before) || spaceAfter || markAfter || CJK.test(after));
  if (marker !== "_") return { opens: left, closes: right };
  return {
    opens: left && (!right || spaceBefore || markBefore),
    closes: right && (!left || spaceAfter || markAfter),
  };
}

/** The index after the bare address that begins here, without marks at its end that belong to the sentence; -1 if none does. */
export function addressEnd(text: string, start: number): number {
  if (!/^(?:https?:\/\/|www\.)[^\s<]/i.test(text.slice(start, start + 9))) return -1;
  if (start > 0 && /[\p{L}\p{N}]/u.test(text[start - 1])) return -1;
  let end = start;
  while (
    end < text.length &&
    !/[\s<]/.test(text[end]) &&
    !ENDS_ADDRESS.test(text[end]) &&
    !text.startsWith("**", end)
  ) {
    end += 1;
  }
  while (end > start && /[!"'*,.:;?_~]/.test(text[end - 1])) end -= 1;
  return end;
}

/** The extensions of the parser; a plugin that stands after GitHub's. */
export function worldSyntax(this: Processor): void {
  const data = this.data() as Data;
  data.micromarkExtensions ??= [];
  data.fromMarkdownExtensions ??= [];
  for (const extension of data.micromarkExtensions) boundAddresses(extension);
  data.micromarkExtensions.push({
    text: { [STAR]: emphasis, [UNDERSCORE]: emphasis, 60: lineBreak },
  });
  data.fromMarkdownExtensions.push({
    enter: {
      breakTag(this: { enter: (node: object, token: Token) => void }, token: Token) {
        this.enter({ type: "break" }, token);
      },
    },
    exit: {
      breakTag(this: { exit: (token: Token) => void }, token: Token) {
        this.exit(token);
      },
    },
  });
}

const emphasis: Construct = {
  name: "worldEmphasis",
  tokenize(effects, ok) {
    const before = characterOf(this.previous);
    const others = this.parser.constructs.attentionMarkers.null.filter((code) => code !== STAR && code !== UNDERSCORE);
    const previousOther = others.includes(this.previous);
    let marker: Code = null;
    const inside: State = (code) => {
      if (code === marker) {
        effects.consume(code);
        return inside;
      }
      const token = effects.exit("attentionSequence");
      const { opens, closes } = flanking(characterOf(marker), before, characterOf(code));
      token._open = opens || (marker === STAR && others.includes(code));
      token._close = closes || (marker === STAR && previousOther);
      return ok(code);
    };
    return (code) => {
      marker = code;
      effects.enter("attentionSequence");
      return inside(code);
    };
  },
  resolveAll(events, context) {
    const own = context.parser.constructs.insideSpan.null.find(({ name }) => name === "attention");
    return own?.resolveAll ? own.resolveAll(events, context) : events;
  },
};

// In micromark a negative code is a line end or a tab.
function characterOf(code: Code): string {
  if (code === null) return "";
  return code < 0 ? " " : String.fromCharCode(code);
}

const lineBreak: Construct = {
  name: "breakTag",
  tokenize(effects, ok, nok) {
    let seen = "";
    const inside: State = (code) => {
      const next = seen + characterOf(code).toLowerCase();
      if (code === null || code < -2 || !/^<(?:b(?:r(?:[ \t]*\/?>?)?)?)?$/.test(next)) return nok(code);
      seen = next;
      effects.consume(code);
      if (!next.endsWith(">")) return inside;
      effects.exit("breakTag");
      return ok;
    };
    return (code) => {
      effects.enter("breakTag");
      return inside(code);
    };
  },
};

const boldMarks: Construct = {
  partial: true,
  tokenize(effects, ok, nok) {
    const mark =
      (next: State): State =>
      (code) => {
        if (code !== STAR) return nok(code);
        effects.consume(code);
        return next;
      };
    return mark(mark(ok));
  },
};

const bounded = new WeakSet<Construct>();

// GitHub's constructs for bare addresses, which see the end of the text where an address ends.
function boundAddresses({ text = {} }: Extension): void {
  for (const construct of Object.values(text).flat()) {
    if (!/^(?:www|protocol)Autolink$/.test(construct.name ?? "") || bounded.has(construct)) continue;
    bounded.add(construct);
    const { tokenize } = construct;
    construct.tokenize = function (effects, ok, nok) {
      let left = false;
      const leave =
        (state: State): State =>
        (code) => {
          left = true;
          return state(code);
        };
      const bound = (state: State): State => {
        const give = (code: Code) => {
          const next = state(code);
          return left || !next ? next : bound(next);
        };
        return (code) => {
          if (code === STAR) return effects.check(boldMarks, () => give(null), give)(code);
          return give(ENDS_ADDRESS.test(characterOf(code)) ? null : code);
        };
      };
      return bound(tokenize.call(this, effects, leave(ok), leave(nok)));
    };
  }
}
