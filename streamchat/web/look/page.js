// What our pages beside the chat share: their language. `look.js` has chosen it, and has hidden the page until then.

import { textsIn, translateDocument, translator } from "./translate.js";

export const language = document.documentElement.lang;
const [server, pages] = await Promise.all(["server", "pages"].map((name) => textsIn(language, name)));

/** A text, or a message of the server, in the language of the page: `t("Signed in since {0}", date)`. */
export const t = translator({ ...server, ...pages });

export const number = (value) => value.toLocaleString(language);
export const dateAndTime = (time) => new Date(time).toLocaleString(language);

if (language !== "en") translateDocument(t);
if ("pending" in document.documentElement.dataset) {
  delete document.documentElement.dataset.pending;
  document.querySelector("[autofocus]")?.focus(); // what is hidden takes no focus
}
