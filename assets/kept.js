// What this browser keeps: drafts, the last model, which panels are open. Storage may be full, or forbidden: then nothing is kept.

const PREFIX = "streamchat.";
const PANELS = 300;

export function kept(name, fallback = null) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? fallback;
  } catch {
    return fallback;
  }
}

export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Kept for this visit only.
  }
}

let panels;

// Whether a panel was opened by the reader; undefined where it was never touched.
export function panelOpen(key) {
  panels ??= new Map(kept("panels", []));
  return panels.get(key);
}

export function keepPanel(key, open) {
  panelOpen(key);
  panels.delete(key);
  panels.set(key, open);
  while (panels.size > PANELS) panels.delete(panels.keys().next().value);
  keep("panels", [...panels]);
}
