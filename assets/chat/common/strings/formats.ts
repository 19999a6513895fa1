// Numbers, plurals and dates in a language, by the browser.

type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

export function formats(language: string) {
  const plurals = new Intl.PluralRules(language);
  const numbers = new Intl.NumberFormat(language);
  const lists = new Intl.ListFormat(language);
  const number = (n: number) => numbers.format(n);
  const fixed = (n: number, digits: number) =>
    n.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const significant = (n: number, digits: number) =>
    n.toLocaleString(language, { maximumSignificantDigits: digits, useGrouping: false });
  return {
    number,
    /** With so many digits behind the sign. */
    fixed,
    /** All digits that it has. */
    decimal: (n: number) => significant(n, 17),
    /** As an axis shows it. */
    tick: (n: number) => {
      const size = Math.abs(n);
      const form = size >= 1e15 || (size > 0 && size < 1e-4) ? "scientific" : "compact";
      if (form === "compact" && size < 1e4) return significant(n, 5);
      return n.toLocaleString(language, { notation: form, maximumFractionDigits: 1 });
    },
    /** `$12.30`, `$0.0042`. */
    dollars: (n: number, digits: number) =>
      n.toLocaleString(language, {
        ...{ style: "currency", currency: "USD" },
        ...{ minimumFractionDigits: digits, maximumFractionDigits: digits },
      }),
    /** `0.84 s`, `12.3 s`. */
    seconds: (ms: number) => `${fixed(ms / 1000, ms < 9_950 ? 2 : 1)} s`,
    /** `3.4 ms`, `1,234 ms`. */
    milliseconds: (ms: number) => `${ms < 10 ? fixed(ms, 1) : number(Math.round(ms))} ms`,
    /** The form for the number, with `#` replaced by it: `plural(2, { one: "# word", other: "# words" })`. */
    plural: (n: number, forms: Forms) => (forms[plurals.select(n)] ?? forms.other).replace("#", number(n)),
    list: (items: string[]) => lists.format(items),
    /** As where the reader is: `30/11/2026` or `11/30/26`. */
    date: (date: Date, options: Intl.DateTimeFormatOptions) => date.toLocaleString(regional(language), options),
  };
}

// The reader's own form of a language, as the browser names it, or the language.
function regional(language: string): string {
  return globalThis.navigator?.languages?.find((one) => one.split("-")[0] === language) ?? language;
}
