import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
// @ts-expect-error: a script of the server's own pages, without types
import { translateDocument, translator } from "../../streamchat/web/look/translate.js";

const LOOK = join(import.meta.dir, "../../streamchat/web/look");
const texts = (name: string) => JSON.parse(readFileSync(join(LOOK, "texts", name), "utf8"));
const server = translator(texts("server.de.json"));
const pages = translator({ ...texts("server.de.json"), ...texts("pages.de.json") });

afterEach(() => {
  document.body.innerHTML = "";
});

test.each([
  ["The message is empty.", "Die Nachricht ist leer."],
  ["The model fell silent for 180 s.", "Das Modell ist seit 180 s verstummt."],
  // What fills a text may be one of ours, with a text in it again.
  [
    "The server at 127.0.0.1:1234 is limiting requests; it asks to wait 3 s. It says: “slow down”",
    "Der Server 127.0.0.1:1234 begrenzt die Anfragen; es soll 3 s gewartet werden. Die Meldung: „slow down“",
  ],
  [
    "The model fell silent for 5 s. Retrying 1/3 in 4 s.",
    "Das Modell ist seit 5 s verstummt. Neuer Versuch 1/3 in 4 s.",
  ],
  [
    "Cannot reach localhost:1. Is the local server running?",
    "localhost:1 ist nicht erreichbar. Läuft der lokale Server?",
  ],
  [
    "You have 2 answers in progress, and no more are allowed. Stop one first.",
    "Sie haben 2 Antworten in Arbeit, mehr sind nicht erlaubt. Halten Sie zuerst eine an.",
  ],
  ["Stopped · 1,024 words kept.", "Angehalten · 1,024 Wörter behalten."],
  ["Waiting: 3rd in line.", "Wartet: Platz 3 in der Reihe."],
])("a message of the server in German: %s", (english, german) => {
  expect(server(english)).toBe(german);
});

test("what no table has stays as it is, however long, and so does what is quoted", () => {
  for (const text of ["", "Hello.", "x".repeat(100_000), "{0}", "(.*) $& {1}"]) expect(server(text)).toBe(text);
  expect(server("There is no model named “$& {0} (.*)”. Choose another one.")).toBe(
    "Es gibt kein Modell namens „$& {0} (.*)“. Wählen Sie ein anderes.",
  );
});

test("a message that fits many texts almost is no work", () => {
  const began = performance.now();
  server(`The model ${"x is not available at ".repeat(80)}`);
  server("It says: “".repeat(180));
  expect(performance.now() - began).toBeLessThan(1000);
});

test("the texts of a page beside the chat, and none of what people wrote", () => {
  document.title = "Your account · Notes";
  document.body.innerHTML = `<h1 translate="no">Delete</h1><p>Sign
    in</p><label>Name<input name="name"></label><code>Name</code>`;
  translateDocument(pages);
  expect(document.title).toBe("Ihr Konto · Notes");
  expect(document.querySelector("h1")?.textContent).toBe("Delete");
  expect(document.querySelector("code")?.textContent).toBe("Name");
  expect(document.querySelector("p")?.textContent).toBe("Anmelden");
  expect(document.querySelector("input")).not.toBeNull();
  expect(pages("{0} · since {1}", "Benutzer", "heute")).toBe("Benutzer · seit heute");
});
