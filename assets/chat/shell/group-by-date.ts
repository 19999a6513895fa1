// Groups conversations by when they were last used, in the reader's time zone. Pure.

import { strings } from "../common/strings";
import type { ConversationRow } from "../store/frames";

type Dated = Pick<ConversationRow, "id" | "when">;

/** `rows` are newest first; the groups and their rows keep that order. */
export function groupByDate<Row extends Dated>(rows: Row[], now: Date): { label: string; rows: Row[] }[] {
  const groups = Map.groupBy(rows, (row) => labelOf(Date.parse(row.when), now));
  return [...groups].map(([label, members]) => ({ label, rows: members }));
}

function labelOf(time: number, now: Date): string {
  const t = strings().shell;
  // Also what is no date.
  if (!(time < midnight(now, 0))) return t.today;
  if (time >= midnight(now, 1)) return t.yesterday;
  if (time >= midnight(now, 6)) return t.thisWeek;
  return time >= midnight(now, 30) ? t.thisMonth : t.earlier;
}

/** When the day began that was so many days before; not all days have 24 hours. */
export function midnight(now: Date, daysBefore: number): number {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysBefore).getTime();
}
