// The table of a race as a file.

import { Download } from "lucide-react";
import { type Result, toCsv } from "./measure";
import type { Row, View } from "./race";

export function Exports({ rows, view }: { rows: Row[]; view: View }) {
  const results = rows.map(
    ({ transport, state, first_ms, last_ms, bytes, words, words_read, speedup }): Result => ({
      ...{ transport, state, first_ms, last_ms },
      ...{ bytes, words, words_read, speedup },
    }),
  );
  const report = () => ({ question: view.question, run_id: view.runId, log_ms: view.log, results });
  return (
    <>
      <button type="button" className="quiet" onClick={() => save("race.csv", "text/csv", toCsv(results))}>
        <Download size={14} />
        CSV
      </button>
      <button
        type="button"
        className="quiet"
        onClick={() => save("race.json", "application/json", `${JSON.stringify(report(), null, 2)}\n`)}
      >
        <Download size={14} />
        JSON
      </button>
    </>
  );
}

function save(name: string, type: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
