// Preloaded by `bun test`: a DOM, and Reflex's own front-end modules.
//
// `$/…` are the modules of the Reflex that is installed in .venv, and the one that its compiler generates. They are
// copied into node_modules, so that what they import (react …) is found from there.

import { afterEach, beforeEach, setDefaultTimeout } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { GlobalRegistrator } from "@happy-dom/global-registrator";
import { plugin } from "bun";

GlobalRegistrator.register({ url: "http://localhost:3000/" });
// A document with a doctype, as every page of the app is.
Object.defineProperty(document, "compatMode", { value: "CSS1Compat" });
// Needs the DOM when it is loaded.
const { cleanup, configure } = await import("@testing-library/react");

// Guards that a busy machine does not reach: of a test, and of each wait in it.
setDefaultTimeout(60_000);
configure({ asyncUtilTimeout: 20_000 });
beforeEach(() => {
  // Timers and the loading of modules change components between the steps of a test, as they do on the page.
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: false });
});
afterEach(() => {
  cleanup();
  localStorage.clear();
});

const ROOT = join(import.meta.dir, "../..");
const COPIES = join(ROOT, "node_modules/.cache/reflex");
const TEMPLATES = "reflex_base/.templates/web";

// A state with one var, as `Live.f` is.
const COMPILE_CONTEXT = `
import reflex as rx
from reflex.compiler.compiler import compile_contexts

class Live(rx.State):
    f: dict = {}

print(compile_contexts(rx.State, None)[1])
`;

function python(): string {
  const found = [".venv/bin/python", ".venv/Scripts/python.exe"].find((path) => existsSync(join(ROOT, path)));
  if (!found) throw new Error("There is no Python in .venv: run `scripts/setup app`.");
  return join(ROOT, found);
}

// The text of a module of Reflex by its path without "$/".
function generated(path: string): string | null {
  if (path === "env.json") return '{"EVENT": "ws://localhost/_event", "TRANSPORT": "websocket"}';
  if (path === "reflex.json") return "{}";
  if (path !== "utils/context") return null;
  const result = Bun.spawnSync([python(), "-c", COMPILE_CONTEXT], {
    cwd: ROOT,
    env: { ...process.env, REFLEX_TELEMETRY_ENABLED: "false" },
  });
  if (result.exitCode) {
    throw new Error(`Reflex does not compile its context the way it did (tests/ui_js/setup.ts):\n${result.stderr}`);
  }
  return result.stdout.toString();
}

function template(path: string): string {
  for (const pattern of [".venv/lib/*/site-packages", ".venv/Lib/site-packages"]) {
    for (const folder of new Bun.Glob(pattern).scanSync({
      cwd: ROOT,
      dot: true,
      onlyFiles: false,
      followSymlinks: true,
    })) {
      const file = join(ROOT, folder, TEMPLATES, `${path}.js`);
      if (existsSync(file)) return file;
    }
  }
  throw new Error(`Reflex has no front-end module ${path} any more: see assets/chat/common/reflex.ts.`);
}

// Written into node_modules and imported from there.
function copyOf(name: string): string {
  const text = generated(name);
  const copy = join(COPIES, name.endsWith(".json") ? name : `${name}.js`);
  mkdirSync(dirname(copy), { recursive: true });
  if (text === null) copyFileSync(template(name), copy);
  else writeFileSync(copy, text);
  return copy;
}

const MODULES = [
  "context",
  "context-registry",
  "state",
  ...["debounce", "json", "throttle", "upload"].map((name) => `helpers/${name}`),
];

plugin({
  name: "reflex",
  setup(build) {
    for (const name of [...MODULES.map((module) => `utils/${module}`), "env.json", "reflex.json"]) {
      build.module(`$/${name}`, async () => ({ exports: await import(copyOf(name)), loader: "object" }));
    }
    // Styles mean nothing in a DOM without layout.
    build.onLoad({ filter: /\.css$/ }, () => ({ contents: "", loader: "js" }));
  },
});
