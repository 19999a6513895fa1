// The page's language, and catalogues of its texts.
//
// A catalogue is a typed object per language: a text, or a function that makes one. English is there from the start and
// defines the type, so that a text that another language lacks is an error of the compiler; the others are loaded when
// they are chosen, and replace it as a whole.

import { useSyncExternalStore } from "react";
import { SharedValue } from "../shared-value";
import { storage } from "../storage";

/** Each by its own name. */
export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;

const isLanguage = (tag: unknown): tag is Language => typeof tag === "string" && Object.hasOwn(LANGUAGES, tag);

/** The choice of the person, else of the server, else of the browser. */
function preferred(): Language {
  if (typeof window === "undefined") return "en"; // while the page is built
  const tags = [storage.get("language"), window.streamchat?.language, ...(navigator.languages ?? [])];
  return tags.map((tag) => String(tag).toLowerCase().split("-")[0]).find(isLanguage) ?? "en";
}

const language = new SharedValue<Language>(preferred());

/** The language that was chosen: what is shown follows once it is loaded. */
export function useLanguage(): Language {
  return useSyncExternalStore(language.subscribe, language.get, () => "en");
}

export function currentLanguage(): Language {
  return language.get();
}

/** Shows the page in another language, here and at the next visit. */
export function chooseLanguage(next: Language): void {
  storage.set("language", next);
  language.set(next);
}

type Loaders<Strings> = { [Other in Exclude<Language, "en">]: () => Promise<Strings> };

export class Catalogue<Strings> {
  private readonly shown: SharedValue<Strings>;
  private language: Language = "en";

  constructor(
    private readonly en: Strings,
    private readonly others: Loaders<Strings>,
  ) {
    this.shown = new SharedValue(en);
    language.subscribe(() => void this.load());
    void this.load();
  }

  /** The texts in the language that is shown. For code outside of components. */
  get = (): Strings => this.shown.get();

  /** The same for components, which are rendered again if it changes. */
  use = (): Strings => useSyncExternalStore(this.shown.subscribe, this.shown.get, () => this.en);

  /** Resolves once the texts of the chosen language are shown; if they cannot be loaded, those before stay. */
  async load(): Promise<void> {
    const wanted = language.get();
    if (wanted !== this.language) {
      try {
        const strings = wanted === "en" ? this.en : await this.others[wanted]();
        if (wanted !== language.get()) return; // another one was chosen meanwhile
        this.language = wanted;
        this.shown.set(strings);
      } catch {
        // Offline: the next choice, or visit, tries again.
      }
    }
    if (typeof document === "undefined") return;
    document.documentElement.lang = this.language;
  }
}
