import { afterEach, expect, test } from "bun:test";
import { keepSelection } from "../../assets/chat/common/keep-selection";

afterEach(() => document.body.replaceChildren());

function select(from: Node, start: number, to: Node, end: number): Selection {
  const selection = getSelection() as Selection;
  selection.setBaseAndExtent(from, start, to, end);
  return selection;
}

test("text that grows, and text whose elements are others, stay selected", () => {
  document.body.innerHTML = "<div class=block><p>The first words</p></div>";
  const [block] = document.body.children;
  const text = block.firstChild?.firstChild as Text;
  const selection = select(text, 4, text, 9);
  keepSelection(() => {
    text.nodeValue = "The first words of a paragraph";
    select(text, 0, text, 0); // as browsers do
  });
  expect(selection.toString()).toBe("first");
  keepSelection(() => {
    block.innerHTML = "<p>The <b>fi</b><i>rst</i> words of a paragraph</p>";
  });
  expect(selection.toString()).toBe("first");
});

test("a selection across blocks keeps both of its ends, also backwards; without one nothing is looked at", () => {
  document.body.innerHTML = "<p>Question</p><div class=block>One</div><div class=block>Two grows</div>";
  const [question, , two] = document.body.children;
  const selection = select(two.firstChild as Text, 3, question.firstChild as Text, 2);
  keepSelection(() => {
    two.textContent = "Two grows on";
  });
  expect([selection.anchorNode, selection.anchorOffset]).toEqual([two.firstChild, 3]);
  expect([selection.focusNode, selection.focusOffset]).toEqual([question.firstChild, 2]);
  selection.removeAllRanges();
  keepSelection(() => two.remove());
  expect(document.body.children.length).toBe(2);
});
