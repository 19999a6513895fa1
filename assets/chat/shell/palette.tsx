// The palette: one field that finds commands, models and conversations, and does what is chosen.

import { type KeyboardEvent, useId, useMemo, useState, useSyncExternalStore } from "react";
import { useNavigate } from "react-router";
import { useChat } from "../chat";
import { basePath } from "../common/base-path";
import { Dialog } from "../common/dialog";
import { useColorMode } from "../common/reflex";
import { conversationPath } from "../common/request";
import { useShared } from "../common/shared-value";
import { chooseLanguage, LANGUAGES, type Language, useStrings } from "../common/strings";
import { TEMPORARY } from "../composer/temporary";

const SHOWN = 40;

export interface Command {
  id: string;
  label: string;
  /** What kind of thing it is, beside the label. */
  kind: string;
  action: () => void;
}

/** The commands whose label or kind has every word of the query, in their order. Pure. */
export function matchingCommands(commands: Command[], query: string): Command[] {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  return commands.filter(({ label, kind }) => {
    const text = `${label} ${kind}`.toLocaleLowerCase();
    return words.every((word) => text.includes(word));
  });
}

export function Palette({ onClose }: { onClose: () => void }) {
  const t = useStrings().shell;
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const list = useId();
  const commands = useCommands();
  const search = useSearch(query);
  const found = [...matchingCommands(commands, query).slice(0, SHOWN), ...(query.trim() ? [search] : [])];
  const at = Math.min(active, found.length - 1);
  const run = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    // The dialog gives the focus back first.
    requestAnimationFrame(command.action);
  };
  const pressed = (event: KeyboardEvent) => {
    const to = targetOf(event.key, at, found.length);
    if (event.nativeEvent.isComposing || (to === null && event.key !== "Enter")) return;
    event.preventDefault();
    if (to === null) return run(found[at]);
    setActive(to);
    document.getElementById(`${list}${to}`)?.scrollIntoView({ block: "nearest" });
  };
  return (
    <Dialog title={t.palette} onClose={onClose}>
      <div className="palette" data-testid="palette">
        <input
          className="field"
          role="combobox"
          data-testid="palette-query"
          aria-label={t.palette}
          aria-expanded="true"
          aria-controls={list}
          aria-activedescendant={found.length ? `${list}${at}` : undefined}
          placeholder={t.paletteHint}
          autoComplete="off"
          spellCheck={false}
          value={query}
          onChange={(event) => {
            setQuery(event.target.value);
            setActive(0);
          }}
          onKeyDown={pressed}
        />
        <div role="listbox" id={list} aria-label={t.palette} className="palette-list">
          {found.map((command, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the focus, and its keys
            // biome-ignore lint/a11y/useFocusableInteractive: likewise
            <div
              key={command.id}
              id={`${list}${index}`}
              role="option"
              aria-selected={index === at}
              className="palette-item"
              data-testid="palette-item"
              data-command={command.id}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => run(command)}
            >
              <span dir="auto">{command.label}</span>
              <span className="kind">{command.kind}</span>
            </div>
          ))}
        </div>
        {!found.length && <p className="note">{t.nothingFound}</p>}
      </div>
    </Dialog>
  );
}

function targetOf(key: string, at: number, count: number): number | null {
  if (!count) return null;
  if (key === "ArrowDown") return (at + 1) % count;
  if (key === "ArrowUp") return (at + count - 1) % count;
  return null;
}

function useSearch(query: string): Command {
  const t = useStrings().shell;
  const chat = useChat();
  const action = () => {
    chat.sidebarOpen.set(true);
    chat.query.set(query);
    document.querySelector<HTMLElement>("[data-testid=search]")?.focus();
  };
  return { id: "search", label: query.trim() ? t.searchFor(query.trim()) : t.searchAll, kind: t.search, action };
}

function useCommands(): Command[] {
  const t = useStrings().shell;
  const chat = useChat();
  const navigate = useNavigate();
  const { choose } = useColorMode();
  const { conversation, answering } = useSyncExternalStore(chat.store.subscribeMeta, chat.store.meta, chat.store.meta);
  const [rows, models, chooseModel] = [useShared(chat.rows), useShared(chat.models), useShared(chat.chooseModel)];
  const search = useSearch("");
  return useMemo(() => {
    const command = (id: string, label: string, action: () => void, kind = t.command): Command => ({
      ...{ id, label, kind, action },
    });
    const press = (testId: string) => {
      const button = document.querySelector<HTMLElement>(`[data-testid=${testId}]`);
      // A panel closes when the focus moves outside of it and its button.
      if (button?.hasAttribute("aria-expanded")) button.focus({ preventScroll: true });
      button?.click();
    };
    const commands = [command("new", t.newChat, () => void navigate("/")), search];
    if (answering) commands.push(command("stop", t.stopAnswer, () => press("stop")));
    if (conversation) {
      const file = (format: string) => () => download(`${conversationPath(conversation)}/export?format=${format}`);
      commands.push(
        command("export", t.exportMarkdown, file("markdown")),
        command("export-json", t.exportJson, file("json")),
      );
    }
    commands.push(
      command("composer", t.writeMessage, () => document.querySelector<HTMLElement>("[data-testid=composer]")?.focus()),
      command("attach", t.attach, () => press("attach")),
      command("tools", t.tools, () => press("tools")),
      command("parameters", t.parameters, () => press("parameters")),
      command("temporary", t.temporary, () => void navigate("/", { state: TEMPORARY })),
      command("theme-system", t.themeSystem, () => choose("system"), t.theme),
      command("theme-light", t.themeLight, () => choose("light"), t.theme),
      command("theme-dark", t.themeDark, () => choose("dark"), t.theme),
    );
    for (const [tag, name] of Object.entries(LANGUAGES)) {
      commands.push(command(`language-${tag}`, name, () => chooseLanguage(tag as Language), t.language));
    }
    commands.push(
      command("settings", t.settings, () => chat.overlay.set("settings")),
      command("shortcuts", t.shortcuts, () => chat.overlay.set("shortcuts")),
      command("lab", t.lab, () => location.assign(`${basePath()}/lab`)),
      command("latency", t.latency, () => location.assign(`${basePath()}/latency`)),
    );
    for (const { id, label, unavailable } of models) {
      if (!unavailable && chooseModel) commands.push(command(`model ${id}`, label, () => chooseModel(id), t.model));
    }
    for (const { id, title } of rows) {
      commands.push(command(`c ${id}`, title || t.newChat, () => void navigate(`/c/${id}`), t.conversation));
    }
    return commands;
  }, [t, chat, navigate, choose, conversation, answering, rows, models, chooseModel, search]);
}

function download(path: string): void {
  const link = document.createElement("a");
  link.href = basePath() + path;
  link.download = "";
  link.click();
}
