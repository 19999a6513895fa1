// Marks of sources in a text: where an answer names its n-th source. Markdown takes a mark for a letter; what is copied or
// exported has none.

// Second halves of surrogate pairs, without their first: no text that comes from the server has them, and nothing before
// them makes them a character.
const OPEN = "\udc00";
const CLOSE = "\udc01";

export const SOURCE_MARK = new RegExp(`${OPEN}(\\d+)${CLOSE}`, "g");

/** The mark of the n-th source, from 1 on. */
export function sourceMark(n: number): string {
  return `${OPEN}${n}${CLOSE}`;
}

export function withoutMarks(text: string): string {
  return text.replace(SOURCE_MARK, "");
}
