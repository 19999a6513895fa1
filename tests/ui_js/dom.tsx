// Components in a DOM, with a chat of their own.

import { act, fireEvent, render } from "@testing-library/react";
import type { ReactNode } from "react";
import { BrowserRouter } from "react-router";
import { ChatProvider, createChat } from "../../assets/chat/chat";
import type { Frame } from "../../assets/chat/store/frames";

export { act, cleanup, fireEvent, screen, waitFor, within } from "@testing-library/react";

/**
 * Renders a component at an address. `feed` gives frames to its store, as the server does, and paints; `replace` renders
 * it with other props.
 */
export function renderChat(children: ReactNode, { address = "/c/c" }: { address?: string } = {}) {
  history.replaceState(null, "", address);
  const chat = createChat();
  const within = (content: ReactNode) => (
    <BrowserRouter>
      <ChatProvider value={chat}>{content}</ChatProvider>
    </BrowserRouter>
  );
  const view = render(within(children));
  const replace = (content: ReactNode) => view.rerender(within(content));
  const feed = (...frames: Frame[]) =>
    act(() => {
      for (const frame of frames) chat.store.feed(frame);
      chat.store.flush();
    });
  return { chat, feed, replace, ...view };
}

/** Opens or closes a panel without a click, as the browser's search does. */
export function find(panel: HTMLDetailsElement, open = true): void {
  act(() => {
    panel.open = open;
  });
}

/** Opens or closes a panel, as a click on its summary does. */
export function toggle(panel: HTMLDetailsElement, open: boolean): void {
  fireEvent.click(panel.querySelector("summary") as HTMLElement);
  find(panel, open);
}
