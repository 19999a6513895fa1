import { expect, test } from "bun:test";
import MarkdownFrame from "../../assets/chat/preview/markdown-frame";
import { renderChat, screen } from "./dom";

test("the preview of a long Markdown has all of it", async () => {
  const text = Array.from({ length: 600 }, (_, i) => `Paragraph ${i} of a text that is long.\n\n`).join("");
  renderChat(<MarkdownFrame text={text} />);
  const frame = await screen.findByTitle("Preview");
  const sent: string[] = [];
  Object.defineProperty(frame, "contentWindow", { value: { postMessage: (text: string) => sent.push(text) } });
  frame.dispatchEvent(new Event("load"));
  expect(sent[0]?.match(/Paragraph \d+ /g)).toHaveLength(600);
});
