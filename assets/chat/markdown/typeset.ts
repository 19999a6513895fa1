// Typesets formulas with KaTeX. Loaded with the first formula of a page.
//
// KaTeX makes elements, never HTML, and sets their styles through the CSSOM: both keep to the Content-Security-Policy. Its
// fonts are part of the page's own files.

import "katex/dist/katex.min.css";

import katex from "katex";
import { strings } from "../common/strings";

const MAX_DEPTH = 400; // elements: a browser's layout is recursive

/** The elements of a formula. Throws an error whose message says what is wrong with its source. */
export function typeset(tex: string, display: boolean): Node[] {
  const place = document.createElement("span");
  try {
    katex.render(tex, place, {
      displayMode: display,
      throwOnError: true,
      strict: "ignore",
      trust: false,
      maxSize: 20,
      maxExpand: 300,
    });
  } catch (error) {
    throw new Error(describe(error));
  }
  if (depthOf(place) > MAX_DEPTH) throw new Error(strings().markdown.formulaTooDeep);
  return [...place.childNodes];
}

function depthOf(element: Element): number {
  let depth = 0;
  for (let level: Element[] = [element]; level.length; level = level.flatMap((each) => [...each.children])) depth += 1;
  return depth;
}

function describe(error: unknown): string {
  // Thousands of groups within each other.
  if (error instanceof RangeError) return strings().markdown.formulaTooDeep;
  if (!(error instanceof katex.ParseError)) return strings().markdown.formulaFailed;
  const message = error.message.replace(/^KaTeX parse error: /, "");
  return message.length > 200 ? `${message.slice(0, 200)}…` : message;
}
