// All texts of the page that people read: `en.ts` has them by the folder that shows them, `de.ts` the same in German.
//
// Components: `const t = useStrings().shell`. Other code: `strings().shell`, when it is needed and not when it is
// loaded. Messages of the server go through `strings().common.told`; what a model or a person wrote stays as it is.
// The pages `/lab` and `/latency` have their texts in `lab/`.

import { useEffect } from "react";
import { Catalogue } from "./catalogue";
import { en } from "./en";
import { serverMessages } from "./server-messages";

export { chooseLanguage, currentLanguage, LANGUAGES, type Language, useLanguage } from "./catalogue";
export type { Strings } from "./en";

const catalogue = new Catalogue(en, {
  de: async () => {
    const [{ de }, told] = await Promise.all([import("./de"), serverMessages("de")]);
    return { ...de, common: { ...de.common, told } };
  },
});

/** Shows a page that `/look/look.js` has hidden, because it is built in another language or with another name. */
export function useShown(): void {
  useEffect(() => {
    void catalogue.load().then(() => document.documentElement.removeAttribute("data-pending"));
  }, []);
}

export const useStrings = catalogue.use;
export const strings = catalogue.get;
