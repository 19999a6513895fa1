// Groups conversations by when they were last used, in the reader's own time zone. Pure.

const DAY = 86_400_000;

// `rows` newest first; [{label, rows}] in the same order.
export function grouped(rows, now) {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const groups = new Map();
  for (const row of rows) {
    const label = labelOf(Date.parse(row.when), midnight);
    groups.set(label, [...(groups.get(label) ?? []), row]);
  }
  return [...groups].map(([label, members]) => ({ label, rows: members }));
}

function labelOf(time, midnight) {
  if (!(time < midnight)) return "Today";
  if (time >= midnight - DAY) return "Yesterday";
  if (time >= midnight - 6 * DAY) return "This week";
  return time >= midnight - 30 * DAY ? "This month" : "Earlier";
}
