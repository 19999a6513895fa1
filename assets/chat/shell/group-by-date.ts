// Groups conversations by when they were last used, in the reader's time zone. Pure.

import type { ConversationRow } from "../store/frames";

const DAY_MS = 86_400_000;

type Dated = Pick<ConversationRow, "id" | "when">;

/** `rows` are newest first; the groups and their rows keep that order. */
export function groupByDate<Row extends Dated>(rows: Row[], now: Date): { label: string; rows: Row[] }[] {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const groups = Map.groupBy(rows, (row) => labelOf(Date.parse(row.when), midnight));
  return [...groups].map(([label, members]) => ({ label, rows: members }));
}

function labelOf(time: number, midnight: number): string {
  // Also what is no date.
  if (!(time < midnight)) return "Today";
  if (time >= midnight - DAY_MS) return "Yesterday";
  if (time >= midnight - 6 * DAY_MS) return "This week";
  return time >= midnight - 30 * DAY_MS ? "This month" : "Earlier";
}
