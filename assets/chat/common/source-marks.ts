// Marks of sources in a text: where an answer names its n-th source. Characters that no text has stand for them, so that
// Markdown takes a mark for a letter; what is copied or exported has none.

const OPEN = "\uf8f0";
const CLOSE = "\uf8f1";

export const SOURCE_MARK = new RegExp(`${OPEN}(\\d+)${CLOSE}`, "g");

/** The mark of the n-th source, from 1 on. */
export function sourceMark(n: number): string {
  return `${OPEN}${n}${CLOSE}`;
}

export function withoutMarks(text: string): string {
  return text.replace(SOURCE_MARK, "");
}
