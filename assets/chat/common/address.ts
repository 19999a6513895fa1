// Which conversation the page's address names, and whether it is the one that is shown.

import { useSyncExternalStore } from "react";
import { useLocation } from "react-router";
import { useChat } from "../chat";
import type { Meta, TranscriptStore } from "../store/transcript-store";

const ADDRESS = /^\/(?:[cs]\/([\w-]{1,64})\/?)?$/;

// The visit of the empty page in which the conversation of this store was begun.
const begunIn = new WeakMap<TranscriptStore, { conversation: string; visit: string }>();

/** The conversation of an address, `null` for a new chat, `undefined` for an address that names nothing. */
export function conversationAt(pathname: string): string | null | undefined {
  const address = ADDRESS.exec(pathname);
  return address ? (address[1] ?? null) : undefined;
}

/**
 * The conversation of the address, and whether its messages are still on their way. A new chat in which one has begun
 * is that one until it has an address of its own.
 */
export function useAddress(): { id: string | null | undefined; pending: boolean } {
  const { store } = useChat();
  const { pathname, key } = useLocation();
  const meta = useSyncExternalStore(store.subscribeMeta, store.meta, store.meta);
  const id = conversationAt(pathname);
  if (id === null && hasBegun(store, meta, key)) return { id: meta.conversation, pending: false };
  return { id, pending: !meta.opened || (id !== undefined && id !== meta.conversation) };
}

// "New chat" is another visit of the same page.
function hasBegun(store: TranscriptStore, { begun, conversation }: Meta, visit: string): boolean {
  if (!begun || !conversation) return false;
  const known = begunIn.get(store);
  if (known?.conversation === conversation) return known.visit === visit;
  begunIn.set(store, { conversation, visit });
  return true;
}
