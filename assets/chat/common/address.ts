// Which conversation the page's address names, and whether it is the one that is shown.

import { useSyncExternalStore } from "react";
import { useLocation } from "react-router";
import { useChat } from "../chat";

const ADDRESS = /^\/(?:[cs]\/([\w-]{1,64})\/?)?$/;

/** The conversation of an address, `null` for a new chat, `undefined` for an address that names nothing. */
export function conversationAt(pathname: string): string | null | undefined {
  const address = ADDRESS.exec(pathname);
  return address ? (address[1] ?? null) : undefined;
}

/** The entry of the browser's history, as the router names it. The page shows it some milliseconds later: React takes its time. */
export function visitNow(): string {
  return history.state?.key ?? "default";
}

/**
 * The conversation of the address, and whether its messages are still on their way. `begun`: it began in a new chat, and
 * does not have its address yet.
 */
export function useAddress(): { id: string | null | undefined; pending: boolean; begun: boolean } {
  const { store, askedIn } = useChat();
  const { pathname, key } = useLocation();
  const meta = useSyncExternalStore(store.subscribeMeta, store.meta, store.meta);
  const id = conversationAt(pathname);
  // "New chat" is another visit of the same page.
  if (id === null && meta.begun && meta.conversation && askedIn.get() === key)
    return { id: meta.conversation, pending: false, begun: true };
  return { id, pending: !meta.opened || (id !== undefined && id !== meta.conversation), begun: false };
}

/** The path of what the page shows, before the router is there. */
export function usePlace(): string {
  const { pathname } = useLocation();
  const { id, begun } = useAddress();
  return begun ? `/c/${id}` : pathname;
}
