// Rows and columns.

import { useState } from "react";
import { useStrings } from "../common/strings";
import type { Json } from "../store/frames";
import { clip, formatCell } from "./values";

const ROWS = 10; // shown at first
const STEP = 2000; // rows that a press of the button adds
const CELL = 500; // characters

interface Props {
  columns: string[];
  rows: Json[][];
  label?: string;
  /** How a number is written; as in JSON if nothing is said. */
  number?: (value: number) => string;
}

export function Table({ columns, rows, label, number }: Props) {
  const t = useStrings().tools;
  const [count, setCount] = useState(ROWS);
  // One or two rows more are not worth a button.
  const shown = rows.length <= count + 2 ? rows : rows.slice(0, count);
  const next = Math.min(rows.length, count + STEP);
  const alignments = columns.map((_, i) => (isNumeric(rows.map((row) => row[i] ?? null)) ? "right" : undefined));
  return (
    <>
      <div
        className={`table tool-table ${count > ROWS ? "tall" : ""}`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it can be scrolled with the keyboard
        tabIndex={0}
        role="group"
        aria-label={label ?? t.table}
      >
        <table>
          <thead>
            <tr>
              {columns.map((name, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: columns have no other identity
                <th key={i} scope="col" align={alignments[i]}>
                  <bdi>{clip(name, CELL)}</bdi>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row, r) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other identity
              <tr key={r}>
                {columns.map((_, i) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: cells have no other identity
                  <td key={i} align={alignments[i]} dir="auto">
                    {clip(written(row[i], number), CELL)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < rows.length && (
        <button type="button" className="quiet more" onClick={() => setCount(next)}>
          {next === rows.length ? t.showAllRows(next) : t.showRows(next, rows.length)}
        </button>
      )}
      {!rows.length && <p className="tool-nothing">{t.noRows}</p>}
    </>
  );
}

function written(cell: Json | undefined, number: Props["number"]): string {
  return number && typeof cell === "number" ? number(cell) : formatCell(cell);
}

function isNumeric(cells: Json[]): boolean {
  const filled = cells.filter((cell) => cell !== null);
  return filled.length > 0 && filled.every((cell) => typeof cell === "number");
}
