// Rows and columns.

import { useState } from "react";

import { cellText, clip } from "./tool-views.js";

const ROWS = 10;
const STEP = 2000;
const CELL = 500;

export function Table({ columns, rows, label = "Table" }) {
  const [count, setCount] = useState(ROWS);
  // One or two rows more are not worth a button.
  const shown = rows.length <= count + 2 ? rows : rows.slice(0, count);
  const next = Math.min(rows.length, count + STEP);
  const numeric = columns.map((_, i) => isNumeric(rows.map((row) => row[i] ?? null)));
  const number = (n) => n.toLocaleString("en");
  return (
    <>
      <div className={`table tool-table ${count > ROWS ? "tall" : ""}`} tabIndex={0} role="group" aria-label={label}>
        <table>
          <thead>
            <tr>
              {columns.map((name, i) => (
                <th key={i} scope="col" align={numeric[i] ? "right" : undefined}>
                  <bdi>{clip(name, CELL)}</bdi>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row, r) => (
              <tr key={r}>
                {columns.map((_, i) => (
                  <td key={i} align={numeric[i] ? "right" : undefined} dir="auto">
                    {clip(cellText(row[i]), CELL)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < rows.length && (
        <button type="button" className="quiet more" onClick={() => setCount(next)}>
          {next === rows.length ? `Show all ${number(rows.length)} rows` : `Show ${number(next)} of ${number(rows.length)} rows`}
        </button>
      )}
      {!rows.length && <p className="tool-nothing">no rows</p>}
    </>
  );
}

function isNumeric(cells) {
  return cells.some((cell) => cell !== null) && cells.every((cell) => cell === null || typeof cell === "number");
}
