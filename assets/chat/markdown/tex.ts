// Formulas between \\( \\), \\[ \\] and $$ $$, in the delimiters that models use: their source is shown as it was written.
//
// Pure. Markdown would take their backslashes for escapes and their underscores for emphasis, so both are escaped here. A
// single dollar is money.

const CODE_OR_TEX =
  /(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)|\\[\\`]|(\\\((?:[\s\S]*?\\\)|[\s\S]*$)|\\\[(?:[\s\S]*?\\\]|[\s\S]*$)|\$\$(?:[\s\S]*?\$\$|[\s\S]*$))/g;
const MARKUP = /[\\`*_{}[\]()<>#+\-.!|~&$:]/g;

/** The Markdown of a block with the source of its formulas escaped; `growing`: one without an end is one too. */
export function keepTex(text: string, growing: boolean): string {
  if (!text.includes("\\(") && !text.includes("\\[") && !text.includes("$$")) return text;
  return text.replace(CODE_OR_TEX, (all: string, _code: string | undefined, tex: string | undefined) => {
    if (!tex || (!growing && !isClosed(tex))) return all;
    return tex.replace(MARKUP, "\\$&");
  });
}

function isClosed(tex: string): boolean {
  const end = { "\\(": "\\)", "\\[": "\\]" }[tex.slice(0, 2)] ?? "$$";
  return tex.length >= 4 && tex.endsWith(end);
}
