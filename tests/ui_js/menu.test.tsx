import { expect, mock, test } from "bun:test";
import { Pencil } from "lucide-react";
import { Menu } from "../../assets/chat/common/menu";
import { QuestionActions } from "../../assets/chat/transcript/message-actions";
import { act, fireEvent, renderChat, screen } from "./dom";
import { message, open, opened, streaming, viewOf } from "./messages";

function openMenu() {
  renderChat(
    <>
      <div data-testid="elsewhere" />
      <div data-testid="around">
        <Menu label="More" testId="button" items={() => [{ label: "Rename", icon: Pencil, action: mock() }]} />
      </div>
    </>,
  );
  fireEvent.click(screen.getByTestId("button"));
}

const isOpen = () => screen.queryByRole("menu") !== null;
const focused = () => (document.activeElement as HTMLElement).dataset.testid ?? document.activeElement?.textContent;
const scroll = (target: EventTarget) => act(() => void target.dispatchEvent(new Event("scroll")));

test("a menu stays while something else scrolls, as the transcript does under an answer", () => {
  openMenu();
  expect(focused()).toBe("Rename");
  scroll(screen.getByTestId("elsewhere"));
  expect([isOpen(), focused()]).toEqual([true, "Rename"]);
});

test("a menu whose button scrolls away closes, and its button gets the focus back", () => {
  openMenu();
  scroll(screen.getByTestId("around"));
  expect([isOpen(), focused()]).toEqual([false, "button"]);
  fireEvent.click(screen.getByTestId("button"));
  scroll(document);
  expect([isOpen(), focused()]).toEqual([false, "button"]);
});

test("a menu that closes by itself takes no focus that is elsewhere", () => {
  openMenu();
  act(() => (document.activeElement as HTMLElement).blur());
  act(() => void window.dispatchEvent(new Event("resize")));
  expect([isOpen(), focused()]).toEqual([false, document.body.textContent]);
});

test("an answer does not scroll the opened menu of a message away", () => {
  const question = message("q", "hello", { role: "user" });
  const view = viewOf(opened(question).store, "q");
  const { chat, feed } = renderChat(<QuestionActions view={view} onEdit={() => {}} />);
  feed(open([question, message("a", "done")]));
  fireEvent.click(screen.getByTestId("message-menu"));
  expect(chat.scroll.isStuck()).toBe(true);
  fireEvent.click(screen.getByTestId("message-menu"));
  feed(open([question, streaming("a", "so far", 1)]));
  fireEvent.click(screen.getByTestId("message-menu"));
  expect(chat.scroll.isStuck()).toBe(false);
});
