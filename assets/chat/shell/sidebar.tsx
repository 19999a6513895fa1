// The list of conversations: search, the list with its pages, the archive.

import "../common/base.css";
import "./shell.css";

import { Activity, Archive, ArrowLeft, FileUp, Plus, Search, Settings, Timer, X } from "lucide-react";
import { type ChangeEvent, type RefObject, useEffect, useMemo, useRef, useState } from "react";
import { Link, useNavigate } from "react-router";
import { useChat } from "../chat";
import { useAddress, usePlace } from "../common/address";
import { useAppName } from "../common/page-settings";
import { request } from "../common/request";
import { useShared } from "../common/shared-value";
import { strings, useStrings } from "../common/strings";
import type { ConversationRow, ListChanges, Person } from "../store/frames";
import { Conversation } from "./conversation";
import { groupByDate, midnight } from "./group-by-date";
import { type Pages, useArchive, usePages, withChanges } from "./pages";
import { SearchHits } from "./search-hits";
import { SignedIn } from "./signed-in";

interface Properties {
  /** The list as it came whole. */
  rows: ConversationRow[];
  changes?: ListChanges;
  person?: Partial<Person>;
}

export function Sidebar({ rows: whole, changes, person }: Properties) {
  const t = useStrings().shell;
  const name = useAppName();
  const chat = useChat();
  const { sidebarOpen } = chat;
  const place = usePlace();
  // A link to where the router is replaces the entry of the history, which has another address by then.
  const replace = useAddress().begun ? false : undefined;
  const open = useShared(sidebarOpen);
  const panel = useRef<HTMLElement>(null);
  const query = useShared(chat.query);
  const [archived, setArchived] = useState(false);
  const close = () => sidebarOpen.set(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: moving to another address closes it
  useEffect(() => sidebarOpen.set(false), [sidebarOpen, place]);
  useDialogKeys(open, panel, close);
  const rows = useMemo(() => withChanges(whole, changes), [whole, changes]);
  const pages = usePages(rows);
  const list = useRef<HTMLDivElement>(null);
  useCurrentRow(list, pages);
  useEffect(() => chat.rows.set(pages.rows), [chat, pages.rows]);
  return (
    <>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: Escape does the same */}
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: Escape does the same */}
      <div className="backdrop" data-open={open} onClick={close} />
      <nav className="sidebar" id="sidebar" data-open={open} ref={panel} aria-label={t.conversations}>
        <div className="sidebar-head">
          <Link to="/" replace={replace} className="brand">
            <img src="/look/logo" alt="" width="24" height="24" />
            {name}
          </Link>
          <button type="button" className="icon only-narrow" onClick={close} aria-label={t.closeList}>
            <X size={16} />
          </button>
        </div>
        <Link to="/" replace={replace} className="button new" data-testid="new-chat" onClick={close}>
          <Plus size={16} />
          {t.newChat}
        </Link>
        <label className="search">
          <Search size={16} />
          <input
            type="search"
            className="field"
            data-testid="search"
            placeholder={t.search}
            aria-label={t.searchAll}
            maxLength={1000}
            value={query}
            onChange={(event) => chat.query.set(event.target.value)}
          />
        </label>
        <div className="conversations" tabIndex={-1} ref={list}>
          {query.trim() ? (
            <SearchHits query={query} close={close} />
          ) : archived ? (
            <Archived listed={rows} close={close} leave={() => setArchived(false)} />
          ) : (
            <>
              <List rows={pages.rows} close={close} onChange={pages.change} />
              {pages.more && <MoreButton load={pages.load} />}
            </>
          )}
        </div>
        <div className="foot">
          <a className="quiet" href="/lab">
            <Timer size={14} />
            {t.lab}
          </a>
          <a className="quiet" href="/latency">
            <Activity size={14} />
            {t.latency}
          </a>
        </div>
        <Foot archived={archived} onArchive={() => setArchived(!archived)} />
        {person?.name && <SignedIn name={person.name} canSignOut={person.sign_out === true} />}
      </nav>
    </>
  );
}

const IMPORT = `import`;
const PAGES_FOR_CURRENT = 10; // that are loaded to show the row of an old conversation

// The row of the conversation that is shown comes into view, whatever page of the list it is on.
function useCurrentRow(list: RefObject<HTMLElement | null>, { rows, more, load }: Pages): void {
  const { id, pending } = useAddress();
  const state = useRef({ id: "", shown: false, left: PAGES_FOR_CURRENT });
  const there = rows.some((row) => row.id === id);
  // biome-ignore lint/correctness/useExhaustiveDependencies: again with each page that came
  useEffect(() => {
    if (!id) return;
    if (state.current.id !== id) state.current = { id, shown: false, left: PAGES_FOR_CURRENT };
    const { current } = state;
    if (current.shown) return;
    if (there && list.current) {
      current.shown = true;
      intoView(list.current);
    } else if (!pending && more && current.left > 0) {
      current.left -= 1;
      load();
    }
  }, [list, id, pending, there, more, load, rows.length]);
}

// Not `scrollIntoView`, which also moves the page around the list.
function intoView(list: HTMLElement): void {
  const row = list.querySelector("[aria-current=page]");
  if (!row) return;
  const [view, box] = [list.getBoundingClientRect(), row.getBoundingClientRect()];
  if (box.top < view.top) list.scrollTop -= view.top - box.top;
  else if (box.bottom > view.bottom) list.scrollTop += box.bottom - view.bottom;
}

interface ListProps {
  rows: ConversationRow[];
  close: () => void;
  /** Called with a row that changed here, or that is not in the list any more. */
  onChange: (id: string, change: Partial<ConversationRow> | null) => void;
  archived?: boolean;
}

function List({ rows, close, onChange, archived }: ListProps) {
  const place = usePlace();
  const day = useDay();
  const t = useStrings();
  // biome-ignore lint/correctness/useExhaustiveDependencies: at midnight, and in another language, the groups are others
  const groups = useMemo(() => groupRows(rows), [rows, day, t]);
  return groups.map((group) => (
    <section key={group.label}>
      <h2>{group.label}</h2>
      <ul>
        {group.rows.map((row) => (
          <li key={row.id}>
            <Conversation
              row={row}
              current={place === `/c/${row.id}`}
              close={close}
              onChange={onChange}
              archived={archived}
            />
          </li>
        ))}
      </ul>
    </section>
  ));
}

// When the present day began: another value after midnight, also if the computer slept then.
function useDay(): number {
  const [day, setDay] = useState(() => midnight(new Date(), 0));
  // biome-ignore lint/correctness/useExhaustiveDependencies: another day has another midnight
  useEffect(() => {
    const look = () => setDay(midnight(new Date(), 0));
    const timer = setTimeout(look, midnight(new Date(), -1) - Date.now() + 1000);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [day]);
  return day;
}

function groupRows(rows: ConversationRow[]): { label: string; rows: ConversationRow[] }[] {
  const pinned = rows.filter((row) => row.pinned);
  const others = groupByDate(
    rows.filter((row) => !row.pinned),
    new Date(),
  );
  return pinned.length ? [{ label: strings().shell.pinned, rows: pinned }, ...others] : others;
}

// Loads the next page when it comes into view.
function MoreButton({ load }: { load: () => void }) {
  const t = useStrings().shell;
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!button.current || typeof IntersectionObserver === "undefined") return;
    const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && load());
    observer.observe(button.current);
    return () => observer.disconnect();
  }, [load]);
  return (
    <button type="button" className="button more" data-testid="more-conversations" onClick={load} ref={button}>
      {t.showOlder}
    </button>
  );
}

function Archived({ listed, close, leave }: { listed: ConversationRow[]; close: () => void; leave: () => void }) {
  const t = useStrings().shell;
  const archive = useArchive(listed);
  return (
    <>
      <button type="button" className="quiet" onClick={leave}>
        <ArrowLeft size={14} />
        {t.all}
      </button>
      {archive.loaded && !archive.rows.length && <p className="note">{t.nothingArchived}</p>}
      <List rows={archive.rows} close={close} onChange={archive.change} archived />
      {archive.more && <MoreButton load={archive.load} />}
    </>
  );
}

function Foot({ archived, onArchive }: { archived: boolean; onArchive: () => void }) {
  const t = useStrings().shell;
  const { attempt, overlay } = useChat();
  const navigate = useNavigate();
  const bring = async (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0];
    event.target.value = "";
    if (!file) return;
    await attempt(async () => {
      const imported = await request<{ conversations: { id: string }[] }>("POST", `/api/conversations/${IMPORT}`, {
        text: await file.text(),
        name: file.name.slice(0, 200),
      });
      if (imported.conversations[0]) navigate(`/c/${imported.conversations[0].id}`);
    });
  };
  return (
    <div className="sidebar-foot">
      <button type="button" className="quiet" data-testid="archived" aria-pressed={archived} onClick={onArchive}>
        <Archive size={14} />
        {t.archive}
      </button>
      <label className="quiet file" title={t.importHint}>
        <FileUp size={14} />
        {t.import}
        <input
          type="file"
          className="sr-only"
          data-testid={IMPORT}
          accept=".json,.md,application/json,text/markdown"
          onChange={(event) => void bring(event)}
        />
      </label>
      <button
        type="button"
        className="quiet"
        data-testid="settings"
        aria-haspopup="dialog"
        onClick={() => overlay.set("settings")}
      >
        <Settings size={14} />
        {t.settings}
      </button>
    </div>
  );
}

// While it is open the focus is in it, Escape closes it, and the focus returns to where it was.
function useDialogKeys(open: boolean, panel: RefObject<HTMLElement | null>, close: () => void): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: `close` does the same in every render
  useEffect(() => {
    const element = panel.current;
    if (!open || !element) return;
    const before = document.activeElement;
    element.querySelector("a")?.focus({ preventScroll: true });
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      // It does not also stop the answer.
      event.preventDefault();
      close();
    };
    document.addEventListener("keydown", pressed, { capture: true });
    return () => {
      document.removeEventListener("keydown", pressed, { capture: true });
      const inside = element.contains(document.activeElement);
      if (inside && before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, [open, panel]);
}
