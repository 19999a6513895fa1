// Messages of the server, which are in English wherever they are stored, in the language of the page.

import { basePath } from "../base-path";

interface Translate {
  textsIn: (language: string, name: string) => Promise<Record<string, string>>;
  translator: (texts: Record<string, string>) => (text: string) => string;
}

/** What a message of the server says in this language; as it is, if the server's texts cannot be loaded. */
export async function serverMessages(language: string): Promise<(text: string) => string> {
  try {
    // The server has it for its own pages as well, which are not part of the bundle.
    const address = `${basePath()}/look/translate.js`;
    const { textsIn, translator }: Translate = await import(/* @vite-ignore */ address);
    return translator(await textsIn(language, "server"));
  } catch {
    return (text) => text;
  }
}
