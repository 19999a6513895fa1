// Draws diagrams. Loaded with the first diagram of a page.
//
// The library (Mermaid) writes styles and HTML that the page's policy forbids. So it works in a frame that has an origin
// and a policy of its own, on the server's `/api/frames/diagram`; what comes back is a picture as text. One diagram at a
// time; a frame that does not answer is removed.

import library from "@mermaid-js/tiny/dist/mermaid.tiny.js?url";
import { basePath } from "../common/base-path";
import { strings } from "../common/strings";
import { createQueue } from "./idle-queue";

/** The SVG of a diagram for each theme. */
export interface Drawing {
  light: string;
  dark: string;
}

/** The library is not there, whatever the diagram is. */
export class NotLoaded extends Error {}

const WAIT_MS = 15_000;
const MAX_SVG = 2_000_000; // characters

const inTurn = createQueue();
let frame: Promise<HTMLIFrameElement> | null = null;
let count = 0;

/** Throws an error whose message says what is wrong with the source. */
export function draw(source: string): Promise<Drawing> {
  return inTurn(async () => ({ light: await ask(source, false), dark: await ask(source, true) }));
}

async function ask(source: string, dark: boolean): Promise<string> {
  frame ??= openFrame();
  const opened = await frame;
  count += 1;
  const id = count;
  return new Promise((resolve, reject) => {
    const finish = () => {
      clearTimeout(timer);
      removeEventListener("message", heard);
    };
    const heard = (event: MessageEvent) => {
      if (event.source !== opened.contentWindow || event.data?.id !== id) return;
      finish();
      const { svg, error, notLoaded } = event.data;
      if (typeof svg === "string" && svg.length <= MAX_SVG) resolve(svg);
      else if (notLoaded) reject(new NotLoaded());
      else reject(new Error(typeof error === "string" ? error : strings().markdown.diagramTooLarge));
    };
    const timer = setTimeout(() => {
      finish();
      opened.remove();
      frame = null;
      reject(new Error(strings().markdown.diagramTooSlow));
    }, WAIT_MS);
    addEventListener("message", heard);
    opened.contentWindow?.postMessage({ id, source, dark, library: new URL(library, location.href).href }, "*");
  });
}

// Beside the page: it is laid out, because the library measures text, and not seen.
function openFrame(): Promise<HTMLIFrameElement> {
  const opened = document.createElement("iframe");
  opened.className = "drawing-board";
  opened.setAttribute("sandbox", "allow-scripts");
  opened.setAttribute("aria-hidden", "true");
  opened.tabIndex = -1;
  opened.title = strings().markdown.diagram;
  opened.src = `${basePath()}/api/frames/diagram`;
  return new Promise((resolve) => {
    opened.addEventListener("load", () => resolve(opened), { once: true });
    document.body.append(opened);
  });
}
