// The pages of the list of conversations behind the first one, which the server sends by itself.

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useChat } from "../chat";
import { request } from "../common/request";
import type { ConversationRow, ListChanges } from "../store/frames";

interface Listed {
  conversations: {
    id: string;
    title: string;
    updated_at: string;
    answering: boolean;
    waiting: boolean;
    pinned: boolean;
  }[];
  next: string | null;
}

export interface Pages {
  rows: ConversationRow[];
  /** Whether there are more pages. */
  more: boolean;
  load: () => void;
  /** Changes a row that is here, or removes it, until the server sends it again. */
  change: (id: string, change: Partial<ConversationRow> | null) => void;
  loaded: boolean;
}

async function page(parameters: Record<string, string>): Promise<{ rows: ConversationRow[]; next: string | null }> {
  const query = new URLSearchParams({ limit: "100", ...parameters });
  const { conversations, next } = await request<Listed>("GET", `/api/conversations?${query}`);
  return { rows: conversations.map(({ updated_at: when, ...row }) => ({ ...row, when })), next };
}

/** The first page as it is now, in its order: the pinned ones first, then the newest. */
export function withChanges(whole: ConversationRow[], changes?: ListChanges): ConversationRow[] {
  if (!changes?.rows.length && !changes?.gone.length) return whole;
  const other = new Set([...changes.rows.map(({ id }) => id), ...changes.gone]);
  const rows = [...whole.filter(({ id }) => !other.has(id)), ...changes.rows].sort(
    (a, b) => Number(!!b.pinned) - Number(!!a.pinned) || (a.when < b.when ? 1 : -1),
  );
  // The next page begins where the whole one ended, whatever became of its last row.
  const cursor = whole.at(-1)?.cursor;
  return cursor && rows.length ? [...rows.slice(0, -1), { ...rows[rows.length - 1], cursor }] : rows;
}

/** `first`: the first page, as it is now; its last row has the cursor of the next one if there is one. */
export function usePages(first: ConversationRow[]): Pages {
  const { attempt } = useChat();
  const [later, setLater] = useState<ConversationRow[]>([]);
  // `undefined` before the second page was loaded.
  const [next, setNext] = useState<string | null>();
  const [before, setBefore] = useState(first);
  if (before !== first) {
    setBefore(first);
    const left = leaving(before, first);
    if (left.apart) setNext(undefined);
    setLater(left.apart ? [] : [...left.down, ...later.filter(({ id }) => !left.ids.has(id))]);
  }
  const cursor = next === undefined ? (first.at(-1)?.cursor ?? null) : next;
  const load = useLoad(cursor, (rows, next) => {
    setLater((old) => [...old, ...rows]);
    setNext(next);
  });
  const rows = useMemo(() => {
    const seen = new Set(first.map(({ id }) => id));
    return [...first, ...later.filter(({ id }) => !seen.has(id) && seen.add(id))];
  }, [first, later]);
  const change = useCallback((id: string, change: Partial<ConversationRow> | null) => {
    setLater((old) => changed(old, id, change));
  }, []);
  return { rows, more: !!cursor && !!attempt, load, change, loaded: true };
}

interface Leaving {
  /** All that left. */
  ids: Set<string>;
  /** Those that newer ones pushed to the next page; what left otherwise is gone. */
  down: ConversationRow[];
  /** So many newer ones came that there may be others between the pages: the next one begins at the new first one. */
  apart: boolean;
}

// What leaves the first page when it becomes another one.
function leaving(before: ConversationRow[], first: ConversationRow[]): Leaving {
  const there = new Set(first.map(({ id }) => id));
  const left = before.filter(({ id }) => !there.has(id));
  const end = first.at(-1);
  const isBelow = (row: ConversationRow) => !!end?.cursor && !row.pinned && (!!end.pinned || row.when <= end.when);
  const down = left.filter(isBelow);
  const apart = down.length > 0 && before.every((row) => row.pinned || !there.has(row.id));
  return { ids: new Set(left.map(({ id }) => id)), down, apart };
}

/** `listed`: the first page of the list. If another conversation joins or leaves it, it may have left or joined the archive. */
export function useArchive(listed: ConversationRow[]): Pages {
  const { attempt } = useChat();
  const [rows, setRows] = useState<ConversationRow[]>([]);
  const [next, setNext] = useState<string | null>("");
  const load = useLoad(
    next,
    (page, next) => {
      setRows((old) => [...old, ...page]);
      setNext(next);
    },
    { archived: "true" },
  );
  const members = listed
    .map(({ id }) => id)
    .sort()
    .join(" ");
  // biome-ignore lint/correctness/useExhaustiveDependencies: again if the members change
  useEffect(() => {
    void attempt(async () => {
      const first = await page({ archived: "true" });
      const has = new Set(first.rows.map(({ id }) => id));
      setRows((old) => [...first.rows, ...old.filter(({ id }) => !has.has(id))]);
      setNext((old) => (old === "" ? first.next : old));
    });
  }, [attempt, members]);
  const change = useCallback((id: string, change: Partial<ConversationRow> | null) => {
    setRows((old) => changed(old, id, change));
  }, []);
  return { rows, more: !!next, load, change, loaded: next !== "" };
}

function useLoad(
  cursor: string | null,
  onPage: (rows: ConversationRow[], next: string | null) => void,
  parameters: Record<string, string> = {},
): () => void {
  const { attempt } = useChat();
  const loading = useRef<string | null>(null);
  const take = useRef(onPage);
  take.current = onPage;
  const query = JSON.stringify(parameters);
  return useCallback(() => {
    if (cursor === null || loading.current === cursor) return;
    loading.current = cursor;
    void attempt(async () => {
      const { rows, next } = await page({ ...JSON.parse(query), ...(cursor && { before: cursor }) });
      take.current(rows, next);
    }).then((succeeded) => {
      if (!succeeded) loading.current = null;
    });
  }, [attempt, cursor, query]);
}

function changed(rows: ConversationRow[], id: string, change: Partial<ConversationRow> | null): ConversationRow[] {
  if (change === null) return rows.filter((row) => row.id !== id);
  return rows.map((row) => (row.id === id ? { ...row, ...change } : row));
}
