import { expect, mock, test } from "bun:test";
import { act, fireEvent, screen, waitFor, within } from "@testing-library/react";
import { useLocation } from "react-router";
import { strings } from "../../assets/chat/common/strings";
import { TemporaryNote, useTemporary } from "../../assets/chat/composer/temporary";
import { type Command, matchingCommands } from "../../assets/chat/shell/palette";
import { Viewport } from "../../assets/chat/shell/viewport";
import { renderChat } from "./dom";

const command = (label: string, kind = "Command"): Command => ({ id: label, label, kind, action: () => {} });

function Place() {
  useTemporary();
  return <output data-testid="place">{useLocation().pathname}</output>;
}

function show(address?: string) {
  const view = renderChat(
    <Viewport>
      <textarea data-testid="composer" />
      <Place />
      <TemporaryNote />
    </Viewport>,
    { address },
  );
  act(() => {
    view.chat.rows.set([{ id: "c1", title: "Owls and how they fly", answering: false, when: "2026-01-01" }]);
    view.chat.models.set([
      { id: "local:small", label: "Small", unavailable: "", note: "" },
      { id: "openai:big", label: "Big", unavailable: "set a key", note: "" },
    ]);
  });
  return view;
}

async function palette() {
  fireEvent.keyDown(document.body, { key: "k", ctrlKey: true });
  const field = await screen.findByTestId("palette-query");
  return {
    field,
    type: (value: string) => fireEvent.change(field, { target: { value } }),
    labels: () => screen.queryAllByTestId("palette-item").map((item) => item.firstChild?.textContent),
    enter: () => fireEvent.keyDown(field, { key: "Enter" }),
  };
}

test("a command is found by words of its label and kind, in any order and case", () => {
  const commands = [command("New chat"), command("Dark", "Theme"), command("Deutsch", "Language")];
  const labels = (query: string) => matchingCommands(commands, query).map(({ label }) => label);
  expect(labels("")).toHaveLength(3);
  expect(labels("theme DARK")).toEqual(["Dark"]);
  expect(labels("  lang ")).toEqual(["Deutsch"]);
  expect(labels("nothing")).toEqual([]);
});

test("Ctrl+K opens the palette; a conversation is found by its title and opened by Enter", async () => {
  show();
  const { type, labels, enter } = await palette();
  expect(labels()[0]).toBe("New chat");
  type("owls");
  expect(labels()).toEqual(["Owls and how they fly", "Search all messages for “owls”"]);
  enter();
  await waitFor(() => expect(screen.getByTestId("place").textContent).toBe("/c/c1"));
  expect(screen.queryByTestId("palette")).toBe(null);
});

test("arrows move in the palette, and what is chosen is told to screen readers", async () => {
  show();
  const { field, labels } = await palette();
  fireEvent.keyDown(field, { key: "ArrowUp" });
  const selected = screen.getByRole("option", { selected: true, hidden: true });
  expect(selected.id).toBe(field.getAttribute("aria-activedescendant") ?? "");
  expect(selected.firstChild?.textContent).toBe(labels().at(-1) ?? "");
});

test("a model is chosen in the palette, if it can be used", async () => {
  const { chat } = show();
  const choose = mock((_: string) => {});
  act(() => chat.chooseModel.set(choose));
  const { type, labels, enter } = await palette();
  type("model big");
  expect(labels()).toEqual(["Search all messages for “model big”"]);
  type("model small");
  enter();
  await waitFor(() => expect(choose.mock.calls).toEqual([["local:small"]]));
});

test("what no command is called is searched for in all messages", async () => {
  const { chat } = show();
  const { type, enter } = await palette();
  type("flamingo");
  enter();
  await waitFor(() => expect(chat.query.get()).toBe("flamingo"));
  expect(chat.sidebarOpen.get()).toBe(true);
});

test("? opens the list of shortcuts, but not in a field, where it is a letter", async () => {
  show();
  fireEvent.keyDown(screen.getByTestId("composer"), { key: "?" });
  expect(screen.queryByTestId("shortcuts")).toBe(null);
  fireEvent.keyDown(document.body, { key: "?" });
  const list = await screen.findByTestId("shortcuts");
  expect(within(list).getByText("Open the commands")).toBeTruthy();
  fireEvent.click(screen.getByText("Done"));
  expect(screen.queryByTestId("shortcuts")).toBe(null);
});

test("the settings choose the language, and keep it", async () => {
  const { chat } = show();
  act(() => chat.overlay.set("settings"));
  fireEvent.change(await screen.findByTestId("language"), { target: { value: "de" } });
  await waitFor(() => expect(screen.getByRole("heading", { name: "Einstellungen", hidden: true })).toBeTruthy());
  expect(localStorage.getItem("streamchat.language")).toBe('"de"');
  fireEvent.change(screen.getByTestId("language"), { target: { value: "en" } });
  await waitFor(() => expect(strings().shell.settings).toBe("Settings"));
});

test("a panel that the palette opens has the focus at its button: the next Tab leads into it", async () => {
  renderChat(
    <Viewport>
      <textarea data-testid="composer" />
      <button type="button" data-testid="parameters" aria-expanded={false} />
    </Viewport>,
  );
  screen.getByTestId("composer").focus();
  const focused = new Promise((resolve) => {
    const button = screen.getByTestId("parameters");
    button.onclick = () => resolve(document.activeElement === button);
  });
  const { type, enter } = await palette();
  type("system prompt");
  enter();
  expect(await focused).toBe(true);
});

test("Ctrl+Shift+O begins a new chat, / leads to the message", async () => {
  show("/c/c1");
  fireEvent.keyDown(document.body, { key: "/" });
  expect(document.activeElement).toBe(screen.getByTestId("composer"));
  fireEvent.keyDown(document.body, { key: "O", ctrlKey: true, shiftKey: true });
  await waitFor(() => expect(screen.getByTestId("place").textContent).toBe("/"));
});

test("a temporary chat is begun from a conversation and from the empty page; a new chat after it is none", async () => {
  const { chat } = show("/c/c1");
  for (const [words, path, temporary] of [
    ["temporary", "/", true],
    ["new chat command", "/", false],
    ["temporary", "/", true],
    ["owls conversation", "/c/c1", false],
  ] as const) {
    const { type, enter } = await palette();
    type(words);
    enter();
    await waitFor(() => expect(chat.temporary.get()).toBe(temporary));
    await waitFor(() => expect(screen.queryByTestId("palette")).toBe(null));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([screen.getByTestId("place").textContent, chat.temporary.get()]).toEqual([path, temporary]);
    expect(screen.queryAllByTestId("temporary-note")).toHaveLength(Number(temporary));
  }
});

test("a temporary chat that was switched off is one again after the command", async () => {
  const { chat } = show("/c/c1");
  for (let time = 1; time <= 2; time++) {
    const { type, enter } = await palette();
    type("temporary");
    enter();
    await waitFor(() => expect(chat.temporary.get()).toBe(true));
    await waitFor(() => expect(screen.queryByTestId("palette")).toBe(null));
    act(() => chat.temporary.set(false));
  }
});
