// Texts that are written in English, in the language of the page: messages of the server, and our pages beside the chat.
//
// A table per language has them by their English text, in which `{0}`, `{1}` … stand for what changes. What no table
// has, such as what other people wrote, stays as it is.

const TABLES = new URL("texts/", import.meta.url);
const LONGEST = 2000; // no message of ours is longer

/** The texts of a language by their English ones. `name`: `server` or `pages`. None for English, or if it cannot be had. */
export async function textsIn(language, name) {
  if (language === "en") return {};
  try {
    const response = await fetch(new URL(`${name}.${language}.json`, TABLES));
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}

/** `t("{0} of {1}", 1, 2)`; `t("The key a1 is unknown.")` finds `The key {0} is unknown.` */
export function translator(texts) {
  // The template with most words of its own is tried first.
  const templates = Object.keys(texts)
    .filter((text) => text.includes("{0}"))
    .sort((a, b) => letters(b) - letters(a))
    .map((text) => ({ text, pattern: patternOf(text) }));
  const find = (text) => {
    for (const template of templates) {
      const match = template.pattern.exec(text);
      // What fills a template may be a text of ours as well.
      if (match) return filled(texts[template.text], match.slice(1).map(translated));
    }
    return text;
  };
  const translated = (text) => texts[text] ?? (text.length > LONGEST ? text : find(text));
  return (text, ...values) => (values.length ? filled(texts[text] ?? text, values) : translated(text));
}

/** Puts the document's own texts, which are English, into another language. */
export function translateDocument(t) {
  document.title = document.title.split(" · ").map((part) => t(part)).join(" · ");
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (nodes.nextNode()) {
    const { currentNode: node } = nodes;
    const text = node.data.trim().replace(/\s+/g, " ");
    if (text && !node.parentElement.closest("code, script, [translate=no]")) node.data = node.data.replace(/\S[^]*\S|\S/, () => t(text));
  }
}

function filled(text, values) {
  return text.replace(/\{(\d)\}/g, (place, index) => values[index] ?? place);
}

function letters(text) {
  return text.replace(/\{\d\}/g, "").length;
}

// Places are numbered in the order of the English text. What fills one inside of a sentence has no end of a sentence in
// it, unless it is quoted.
function patternOf(text) {
  const parts = text.split(/\{\d\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const places = parts.slice(1).map((after, place) => {
    const within = (place > 0 || parts[0]) && after && !/[“(]$/.test(parts[place]);
    return within ? "((?:(?![.?] )[^])*?)" : "([^]*?)";
  });
  return new RegExp(`^${parts.map((part, i) => part + (places[i] ?? "")).join("")}$`);
}
