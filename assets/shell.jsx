// What stands around the conversation: the list of conversations, the header, the state of the connection.

import { useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { Link, useLocation } from "react-router";
import { ColorModeContext, EventLoopContext } from "$/utils/context-registry";

import { grouped } from "./days.js";
import { shared, store } from "./session.js";
import { ToolMenu } from "./tool-menu.jsx";
import "./streamchat.css";

const SLOW_MS = 700;
const sidebarOpen = shared(false);

export function Sidebar({ rows }) {
  const { pathname } = useLocation();
  const open = useSyncExternalStore(sidebarOpen.subscribe, sidebarOpen.get, () => false);
  const panel = useRef(null);
  const close = () => sidebarOpen.set(false);
  useEffect(close, [pathname]);
  useEffect(() => {
    if (!open) return;
    const before = document.activeElement;
    panel.current.querySelector("a")?.focus({ preventScroll: true });
    const pressed = (event) => {
      if (event.key !== "Escape") return;
      // Not also Stop.
      event.preventDefault();
      close();
    };
    document.addEventListener("keydown", pressed, { capture: true });
    return () => {
      document.removeEventListener("keydown", pressed, { capture: true });
      if (panel.current?.contains(document.activeElement)) before?.focus?.({ preventScroll: true });
    };
  }, [open]);
  const groups = useMemo(() => grouped(rows, new Date()), [rows]);
  return (
    <>
      <div className="backdrop" data-open={open} onClick={close} />
      <nav className="sidebar" id="sidebar" data-open={open} ref={panel} aria-label="Conversations">
        <div className="sidebar-head">
          <Link to="/" className="brand">
            <img src="/favicon.svg" alt="" width="24" height="24" />
            streamchat
          </Link>
          <button type="button" className="icon only-narrow" onClick={close} aria-label="Close the list">
            <Icon d="m4 4 8 8m0-8-8 8" />
          </button>
        </div>
        <Link to="/" className="button new" data-testid="new-chat" onClick={close}>
          <Icon d="M8 3.2v9.6M3.2 8h9.6" />
          New chat
        </Link>
        <div className="conversations" tabIndex={-1}>
          {groups.map((group) => (
            <section key={group.label}>
              <h2>{group.label}</h2>
              <ul>
                {group.rows.map((row) => (
                  <li key={row.id}>
                    <Conversation row={row} current={pathname === `/c/${row.id}`} close={close} />
                  </li>
                ))}
              </ul>
            </section>
          ))}
        </div>
      </nav>
    </>
  );
}

function Conversation({ row, current, close }) {
  return (
    <Link
      to={`/c/${row.id}`}
      className="conversation"
      data-testid="conversation-item"
      data-conversation-id={row.id}
      data-answering={row.answering}
      aria-current={current ? "page" : undefined}
      title={row.title}
      onClick={close}
    >
      <span className="title" dir="auto">
        {row.title || "New chat"}
      </span>
      {row.answering && <span className="dot" role="img" aria-label="answering" />}
    </Link>
  );
}

export function Header({ onTools, onSwitch }) {
  const meta = useSyncExternalStore(store.subscribe.bind(null, "meta"), store.meta, store.meta);
  const open = useSyncExternalStore(sidebarOpen.subscribe, sidebarOpen.get, () => false);
  return (
    <header className="header">
      <button
        type="button"
        className="icon only-narrow"
        aria-label="Conversations"
        aria-controls="sidebar"
        aria-expanded={open}
        onClick={() => sidebarOpen.set(!open)}
      >
        <Icon d="M2.5 4.5h11M2.5 8h11M2.5 11.5h7" />
      </button>
      <div className="thread-title" dir="auto">
        {meta.title}
      </div>
      <Connection />
      <ToolMenu onTools={onTools} onSwitch={onSwitch} />
      <ThemeToggle />
    </header>
  );
}

function ThemeToggle() {
  const { resolvedColorMode, toggleColorMode } = useContext(ColorModeContext);
  const next = resolvedColorMode === "dark" ? "light" : "dark";
  return (
    <button type="button" className="icon" onClick={toggleColorMode} aria-label={`Use the ${next} theme`} title={`Use the ${next} theme`}>
      <svg className="sun" viewBox="0 0 16 16" width="18" height="18" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.4">
        <circle cx="8" cy="8" r="2.8" />
        <path
          d="M8 1.6v1.6M8 12.8v1.6M1.6 8h1.6M12.8 8h1.6M3.5 3.5l1.1 1.1M11.4 11.4l1.1 1.1M12.5 3.5l-1.1 1.1M4.6 11.4l-1.1 1.1"
          strokeLinecap="round"
        />
      </svg>
      <svg className="moon" viewBox="0 0 16 16" width="18" height="18" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.4">
        <path d="M13.4 9.6A5.8 5.8 0 0 1 6.4 2.6a5.8 5.8 0 1 0 7 7Z" strokeLinejoin="round" />
      </svg>
    </button>
  );
}

// Says that the connection is gone, once it is gone for longer than a moment.
function Connection() {
  const [, errors] = useContext(EventLoopContext) ?? [null, []];
  const lost = errors.length > 0;
  const [shown, show] = useState(false);
  useEffect(() => {
    if (!lost) return show(false);
    store.disconnected();
    const timer = setTimeout(() => show(true), SLOW_MS);
    return () => clearTimeout(timer);
  }, [lost]);
  return (
    <div className="connection" role="status">
      {shown && <span>Reconnecting…</span>}
    </div>
  );
}

// An address that names nothing.
export function NotFound() {
  return (
    <main className="not-found">
      <h1>There is nothing here</h1>
      <p>No conversation has this address.</p>
      <a className="button" href="/">
        Go to streamchat
      </a>
    </main>
  );
}

// A phone's keyboard covers the page instead of shrinking it: the page follows what is left.
export function Viewport({ children }) {
  const app = useRef(null);
  useEffect(() => {
    const view = window.visualViewport;
    if (!view) return;
    const fit = () => {
      const covered = window.innerHeight - view.height * view.scale > 80;
      app.current.style.setProperty("--height", covered ? `${Math.round(view.height)}px` : "100dvh");
      if (covered && view.scale === 1) window.scrollTo(0, 0);
    };
    view.addEventListener("resize", fit);
    return () => view.removeEventListener("resize", fit);
  }, []);
  return (
    <div className="app" ref={app}>
      {children}
    </div>
  );
}

function Icon({ d }) {
  return (
    <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.5">
      <path d={d} strokeLinecap="round" />
    </svg>
  );
}
