// Numbers, plurals and dates in a language, by the browser.

type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

export function formats(language: string) {
  const plurals = new Intl.PluralRules(language);
  const numbers = new Intl.NumberFormat(language);
  const number = (n: number) => numbers.format(n);
  return {
    number,
    /** The form for the number, with `#` replaced by it: `plural(2, { one: "# word", other: "# words" })`. */
    plural: (n: number, forms: Forms) => (forms[plurals.select(n)] ?? forms.other).replace("#", number(n)),
    date: (date: Date, options: Intl.DateTimeFormatOptions) => date.toLocaleString(language, options),
  };
}
