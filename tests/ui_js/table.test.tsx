import { expect, test } from "bun:test";

import { BlockSplitter } from "../../assets/chat/markdown/block-splitter";
import { Blocks } from "../../assets/chat/markdown/blocks";
import { act, fireEvent, renderChat, screen } from "./dom";

const TABLE =
  '| a | **b** | c |\n|:--|--:|---|\n| 1, "x" | [y](https://example.org/) | one<br>two |\n| `p \\| q` | $|z|$ | 3*4 |\n';

async function copied(text: string, label: string): Promise<string> {
  let taken = "";
  const writeText = async (value: string) => {
    taken = value;
  };
  Object.assign(navigator.clipboard, { writeText });
  const splitter = new BlockSplitter();
  splitter.push(text);
  splitter.end();
  renderChat(<Blocks splitter={splitter} open={false} />);
  fireEvent.click(screen.getByTestId("copy-table"));
  await act(async () => void fireEvent.click(screen.getByRole("menuitem", { name: label, hidden: true })));
  return taken;
}

test("a table is copied as CSV: text only, with quotation marks where they are needed", async () => {
  const csv = await copied(TABLE, "Copy as CSV");
  expect(csv).toBe('a,b,c\r\n"1, ""x""",y,"one\ntwo"\r\np | q,|z|,3*4\r\n');
});

test("a table is copied as Markdown that makes the same table again", async () => {
  const markdown = await copied(`> ${TABLE.trimEnd().replaceAll("\n", "\n> ")}\n`, "Copy as Markdown");
  expect(markdown).toBe(
    '| a | **b** | c |\n| :-- | --: | --- |\n| 1, "x" | [y](https://example.org/) | one<br>two |\n| `p \\| q` | $\\vert z\\vert $ | 3\\*4 |\n',
  );
});

test("a long table is several pieces in one table, of which only the last one changes", () => {
  const row = (i: number) => `| ${i} | *a* |\n`;
  const text = `Before:\n| n | x |\n|---|---|\n${Array.from({ length: 120 }, (_, i) => row(i)).join("")}`;
  const splitter = new BlockSplitter();
  const { replace, container } = renderChat(<Blocks splitter={splitter} open />);
  const kept = new Map<string, Element>();
  for (const [i, line] of text.split(/(?<=\n)/).entries()) {
    splitter.push(line);
    if (i % 5) continue;
    replace(<Blocks key="x" splitter={splitter} open />);
    replace(<Blocks key="x" splitter={splitter} open eager />);
    for (const tr of container.querySelectorAll("tbody tr")) {
      const name = tr.firstElementChild?.textContent ?? "";
      expect(kept.get(name) ?? tr).toBe(tr);
      kept.set(name, tr);
    }
  }
  splitter.push("\nAfter");
  splitter.end();
  replace(<Blocks key="x" splitter={splitter} open={false} />);
  expect(container.querySelectorAll("table").length).toBe(1);
  expect(container.querySelectorAll("tbody").length).toBe(3);
  expect([...container.querySelectorAll("tbody td:first-child")].map((cell) => Number(cell.textContent))).toEqual(
    Array.from({ length: 120 }, (_, i) => i),
  );
  expect([...container.querySelectorAll(".block > p")].map((p) => p.textContent)).toEqual(["Before:", "After"]);
});
