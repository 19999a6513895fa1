// A table of an answer, and copies of it as Markdown and as CSV.

import { FileSpreadsheet, FileText } from "lucide-react";
import { createContext, type ReactNode, useContext, useRef } from "react";
import { useChat } from "../chat";
import { copyText } from "../common/copy-button";
import { Menu } from "../common/menu";
import { useStrings } from "../common/strings";

/** The rows of a long table behind those that it begins with. */
export const FurtherRows = createContext<ReactNode>(null);

export function Table({ children }: { children?: ReactNode }) {
  const t = useStrings().markdown;
  const { scroll, store } = useChat();
  const table = useRef<HTMLTableElement>(null);
  const rows = useContext(FurtherRows);
  const items = () => {
    // The answer that grows does not scroll it away.
    if (store.meta().answering) scroll.release();
    return [
      { label: t.copyMarkdown, icon: FileText, action: () => void copyText(asMarkdown(rowsOf(table.current))) },
      { label: t.copyCsv, icon: FileSpreadsheet, action: () => void copyText(asCsv(rowsOf(table.current))) },
    ];
  };
  return (
    <div className="table-frame">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it can be scrolled with the keyboard */}
      <div className="table" tabIndex={0} role="group" aria-label={t.table}>
        <table ref={table}>
          {children}
          {rows}
        </table>
      </div>
      <Menu label={t.copyTable} testId="copy-table" items={items} />
    </div>
  );
}

type Rows = HTMLTableCellElement[][];

function rowsOf(table: HTMLTableElement | null): Rows {
  return [...(table?.querySelectorAll("tr") ?? [])].map((row) => [
    ...row.querySelectorAll<HTMLTableCellElement>("th, td"),
  ]);
}

// RFC 4180: a cell with a comma, a quotation mark or a line end is in quotation marks.
function asCsv(rows: Rows): string {
  const quoted = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return rows.map((row) => `${row.map((cell) => quoted(textOf(cell).trim())).join(",")}\r\n`).join("");
}

function asMarkdown(rows: Rows): string {
  const [head = [], ...body] = rows;
  const line = (cells: string[]) => `| ${cells.join(" | ")} |\n`;
  const cells = (row: HTMLElement[]) => row.map((cell) => childrenOf(cell, markdownOf).trim());
  return line(cells(head)) + line(head.map(ruleOf)) + body.map((row) => line(cells(row))).join("");
}

const RULES: Record<string, string> = { left: ":--", right: "--:", center: ":-:" };

function ruleOf(cell: HTMLElement): string {
  return RULES[cell.style.textAlign] ?? "---";
}

function childrenOf(element: Element, each: (node: Node) => string): string {
  return [...element.childNodes].map(each).join("");
}

/** The source of a formula; `null` if the element is none. */
function texOf(element: Element): string | null {
  return element.getAttribute("data-tex");
}

// A line break has a line end behind it.
function textOf(node: Node): string {
  if (!(node instanceof Element)) return node.textContent ?? "";
  return texOf(node) ?? childrenOf(node, textOf);
}

const MARKS: Record<string, string> = { STRONG: "**", EM: "*", DEL: "~~" };

function markdownOf(node: Node): string {
  if (!(node instanceof Element)) {
    return (node.textContent ?? "")
      .replace(/[|\\*_`[\]$~]/g, "\\$&")
      .replace(/^\n/, "")
      .replace(/\s+/g, (space) => (space.includes("\n") ? " " : space));
  }
  const tex = texOf(node);
  if (tex !== null) return `$${tex.replaceAll("|", "\\vert ").replace(/\s+/g, " ")}$`;
  const inner = () => childrenOf(node, markdownOf);
  if (node.tagName === "BR") return "<br>";
  if (node.tagName === "CODE") return codeOf(node.textContent ?? "");
  if (node.tagName === "A") return `[${inner()}](${node.getAttribute("href") ?? ""})`;
  const mark = MARKS[node.tagName] ?? "";
  return mark + inner() + mark;
}

function codeOf(text: string): string {
  const marks = text.includes("`") ? "``" : "`";
  return marks + text.replaceAll("|", "\\|") + marks;
}
