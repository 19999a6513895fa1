// Groups conversations by when they were last used, in the reader's time zone. Pure.

import type { ConversationRow } from "../store/frames";

type Dated = Pick<ConversationRow, "id" | "when">;

/** `rows` are newest first; the groups and their rows keep that order. */
export function groupByDate<Row extends Dated>(rows: Row[], now: Date): { label: string; rows: Row[] }[] {
  const groups = Map.groupBy(rows, (row) => labelOf(Date.parse(row.when), now));
  return [...groups].map(([label, members]) => ({ label, rows: members }));
}

function labelOf(time: number, now: Date): string {
  // Also what is no date.
  if (!(time < midnight(now, 0))) return "Today";
  if (time >= midnight(now, 1)) return "Yesterday";
  if (time >= midnight(now, 6)) return "This week";
  return time >= midnight(now, 30) ? "This month" : "Earlier";
}

/** When the day began that was so many days before; not all days have 24 hours. */
export function midnight(now: Date, daysBefore: number): number {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysBefore).getTime();
}
