// Colours finished code. The highlighter and each language are loaded when they are first needed; one block at a time is
// coloured, while the page is idle. The result is a tree, never HTML.

import type { RootContent } from "hast";
import type { createLowlight, LanguageFn } from "lowlight";
import { createQueue, idle } from "./idle-queue";

type Highlighter = ReturnType<typeof createLowlight>;

const LOADERS: Record<string, () => Promise<{ default: LanguageFn }>> = {
  bash: () => import("highlight.js/lib/languages/bash"),
  c: () => import("highlight.js/lib/languages/c"),
  cpp: () => import("highlight.js/lib/languages/cpp"),
  csharp: () => import("highlight.js/lib/languages/csharp"),
  css: () => import("highlight.js/lib/languages/css"),
  diff: () => import("highlight.js/lib/languages/diff"),
  dockerfile: () => import("highlight.js/lib/languages/dockerfile"),
  go: () => import("highlight.js/lib/languages/go"),
  graphql: () => import("highlight.js/lib/languages/graphql"),
  ini: () => import("highlight.js/lib/languages/ini"),
  java: () => import("highlight.js/lib/languages/java"),
  javascript: () => import("highlight.js/lib/languages/javascript"),
  json: () => import("highlight.js/lib/languages/json"),
  kotlin: () => import("highlight.js/lib/languages/kotlin"),
  lua: () => import("highlight.js/lib/languages/lua"),
  makefile: () => import("highlight.js/lib/languages/makefile"),
  markdown: () => import("highlight.js/lib/languages/markdown"),
  php: () => import("highlight.js/lib/languages/php"),
  powershell: () => import("highlight.js/lib/languages/powershell"),
  python: () => import("highlight.js/lib/languages/python"),
  r: () => import("highlight.js/lib/languages/r"),
  ruby: () => import("highlight.js/lib/languages/ruby"),
  rust: () => import("highlight.js/lib/languages/rust"),
  scala: () => import("highlight.js/lib/languages/scala"),
  sql: () => import("highlight.js/lib/languages/sql"),
  swift: () => import("highlight.js/lib/languages/swift"),
  typescript: () => import("highlight.js/lib/languages/typescript"),
  xml: () => import("highlight.js/lib/languages/xml"),
  yaml: () => import("highlight.js/lib/languages/yaml"),
};

const ALIASES: Record<string, string> = {
  "c#": "csharp",
  "c++": "cpp",
  cc: "cpp",
  console: "bash",
  cs: "csharp",
  docker: "dockerfile",
  golang: "go",
  h: "c",
  hpp: "cpp",
  html: "xml",
  js: "javascript",
  json5: "json",
  jsonc: "json",
  jsx: "javascript",
  kt: "kotlin",
  make: "makefile",
  md: "markdown",
  mjs: "javascript",
  patch: "diff",
  ps1: "powershell",
  py: "python",
  python3: "python",
  rb: "ruby",
  rs: "rust",
  sh: "bash",
  shell: "bash",
  svg: "xml",
  toml: "ini",
  ts: "typescript",
  tsx: "typescript",
  vue: "xml",
  yml: "yaml",
  zsh: "bash",
};

// Longer code stays plain: colouring it would block the page.
const MAX_LENGTH = 40_000;

let lowlight: Highlighter | undefined;
const inTurn = createQueue();

export function canHighlight(language: string, code: string): boolean {
  return code.length <= MAX_LENGTH && !!nameOf(language);
}

/** The nodes of the coloured code (text, and spans with class names); `null` if it cannot be coloured. */
export function highlight(language: string, code: string): Promise<RootContent[] | null> {
  const result = inTurn(async () => {
    const name = nameOf(language);
    if (!name) return null;
    const highlighter = await highlighterFor(name);
    await idle(1000);
    return highlighter.highlight(name, code).children;
  });
  return result.catch(() => null);
}

function nameOf(language: string): string | null {
  const name = language.toLowerCase();
  return Object.hasOwn(LOADERS, name) ? name : Object.hasOwn(ALIASES, name) ? ALIASES[name] : null;
}

async function highlighterFor(name: string): Promise<Highlighter> {
  const { createLowlight } = await import("lowlight");
  lowlight ??= createLowlight();
  if (!lowlight.registered(name)) lowlight.register(name, (await LOADERS[name]()).default);
  return lowlight;
}
