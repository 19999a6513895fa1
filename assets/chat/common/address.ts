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

/** Whether the store has the conversation of this address. */
function isShown(pathname: string, meta: { opened: boolean; conversation: string | null }): boolean {
  const id = conversationAt(pathname);
  return meta.opened && (id === undefined || id === meta.conversation);
}

/** The conversation of the address, and whether its messages are still on their way. */
export function useAddress(): { id: string | null | undefined; pending: boolean } {
  const { store } = useChat();
  const { pathname } = useLocation();
  const meta = useSyncExternalStore(store.subscribeMeta, store.meta, store.meta);
  return { id: conversationAt(pathname), pending: !isShown(pathname, meta) };
}
