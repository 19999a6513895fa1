// The header: the conversation's title, the connection, tools, theme.

import "../common/base.css";
import "./shell.css";

import { Menu, Moon, Sun } from "lucide-react";
import { useEffect, useState, useSyncExternalStore } from "react";
import { useChat } from "../chat";
import { useAddress } from "../common/address";
import { useColorMode, useConnectionLost } from "../common/reflex";
import { useShared } from "../common/shared-value";
import { useStrings } from "../common/strings";
import { NotifyToggle } from "./notify";
import { ToolMenu } from "./tool-menu";

const SLOW_MS = 700; // a connection that is lost for less is not mentioned

interface Props {
  onTools: () => void;
  onSwitch: (name: string, on: boolean) => void;
}

export function Header({ onTools, onSwitch }: Props) {
  const t = useStrings().shell;
  const { store, sidebarOpen, rows: chatRows } = useChat();
  const meta = useSyncExternalStore(store.subscribeMeta, store.meta, store.meta);
  const open = useShared(sidebarOpen);
  const { id, pending } = useAddress();
  const rows = useShared(chatRows);
  const title = pending ? (rows.find((row) => row.id === id)?.title ?? "") : meta.title;
  return (
    <header className="header">
      <button
        type="button"
        className="icon only-narrow"
        aria-label={t.conversations}
        aria-controls="sidebar"
        aria-expanded={open}
        onClick={() => sidebarOpen.set(!open)}
      >
        <Menu size={16} />
      </button>
      {/* The page without a conversation has a heading of its own. */}
      {title ? (
        <h1 className="thread-title" dir="auto">
          {title}
        </h1>
      ) : (
        <div className="thread-title" />
      )}
      <Connection />
      <ToolMenu onTools={onTools} onSwitch={onSwitch} />
      <NotifyToggle />
      <ThemeToggle />
    </header>
  );
}

function ThemeToggle() {
  const t = useStrings().shell;
  const { mode, choice, choose } = useColorMode();
  useThemeColour(choice, mode);
  const toggle = () => choose(mode === "dark" ? "light" : "dark");
  const label = mode === "dark" ? t.lightTheme : t.darkTheme;
  return (
    <button type="button" className="icon" onClick={toggle} aria-label={label} title={label}>
      {/* Styles show the one that fits the theme: before the page is ready its theme is not known here. */}
      <Sun className="sun" size={18} />
      <Moon className="moon" size={18} />
    </button>
  );
}

// The colour of the browser's own bars: that of the page, also if it is not the theme of the system.
function useThemeColour(choice: string, mode: string): void {
  useEffect(() => {
    for (const meta of document.querySelectorAll<HTMLMetaElement>("meta[name=theme-color]")) {
      const scheme = choice === "system" ? (meta.media.includes("dark") ? "dark" : "light") : mode;
      meta.content = THEME_COLOURS[scheme as keyof typeof THEME_COLOURS];
    }
  }, [choice, mode]);
}

const THEME_COLOURS = { light: "#fbfaf8", dark: "#171716" };

function Connection() {
  const t = useStrings().shell;
  const { store } = useChat();
  const lost = useConnectionLost();
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!lost) return setShown(false);
    store.disconnected();
    const timer = setTimeout(() => setShown(true), SLOW_MS);
    return () => clearTimeout(timer);
  }, [store, lost]);
  return (
    <div className="connection" role="status">
      {shown && <span>{t.reconnecting}</span>}
    </div>
  );
}
