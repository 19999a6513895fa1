import { afterEach, beforeEach, expect, test } from "bun:test";
import { useSyncExternalStore } from "react";
import { useChat } from "../../assets/chat/chat";
import { Message } from "../../assets/chat/transcript/message";
import { fireEvent, renderChat, screen, waitFor } from "./dom";
import { message, open, streaming } from "./messages";

const original = globalThis.fetch;
beforeEach(() => {
  globalThis.fetch = (async () => new Response("{}")) as unknown as typeof fetch;
});
afterEach(() => {
  globalThis.fetch = original;
  sessionStorage.clear();
});

const focused = () => (document.activeElement as HTMLElement).dataset.testid ?? document.activeElement?.tagName;

// The messages of the conversation.
function Messages() {
  const { store } = useChat();
  const { ids } = useSyncExternalStore(store.subscribeMeta, store.meta);
  return ids.map((id) => <Message key={id} id={id} last={id === ids.at(-1)} eager />);
}

const question = message("q", "Why?", { role: "user" });

function edit() {
  const view = renderChat(<Messages />);
  view.feed(open([question, message("a", "So.")]));
  fireEvent.click(screen.getByTestId("edit"));
  expect(focused()).toBe("edit-box");
  return view;
}

test("Escape and Cancel in the edit box give the focus back to its button", () => {
  edit();
  fireEvent.keyDown(screen.getByTestId("edit-box"), { key: "Escape" });
  expect(focused()).toBe("edit");
  fireEvent.click(screen.getByTestId("edit"));
  screen.getByText("Cancel").focus();
  fireEvent.click(screen.getByText("Cancel"));
  expect(focused()).toBe("edit");
});

const VERSIONS = ["q", "r"];
const changed = message("r", "How?", { role: "user", versions: VERSIONS });

test.each(["before", "after"])(
  "a changed question has the focus where it was sent, shown %s the answer",
  async (when) => {
    const { feed } = edit();
    let answered = () => {};
    globalThis.fetch = (() =>
      new Promise((resolve) => {
        answered = () => resolve(new Response("{}"));
      })) as unknown as typeof fetch;
    fireEvent.keyDown(screen.getByTestId("edit-box"), { key: "Enter" });
    if (when === "after") {
      answered();
      await waitFor(() => expect(screen.queryAllByTestId("edit-box")).toHaveLength(0));
    }
    feed(open([changed, streaming("b")], { g: 2 }));
    expect(screen.getByText("How?")).toBeTruthy();
    expect(focused()).toBe("edit");
  },
);

test("the field for a reason gives the focus back to the thumb", () => {
  const { feed } = renderChat(<Messages />);
  feed(open([question, message("a", "So.")]));
  for (const leave of ["Escape", "Enter"]) {
    fireEvent.click(screen.getByTestId("feedback-down"));
    feed({ k: "feedback", m: "a", feedback: { rating: "down" }, n: 1 });
    expect(focused()).toBe("feedback-reason");
    fireEvent.keyDown(screen.getByTestId("feedback-reason"), { key: leave });
    expect(focused()).toBe("feedback-down");
    feed({ k: "feedback", m: "a", feedback: null, n: 2 });
  }
});
