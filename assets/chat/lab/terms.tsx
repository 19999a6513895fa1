// The four times of an answer, in words, with those of the last race.

import { seconds } from "./measure";
import type { LogTimes } from "./race";

const TERMS: [name: string, meaning: string, of: (log: LogTimes) => number | null][] = [
  ["TTFB", "time to first byte: the first byte of the provider’s body", (log) => log.ttfb],
  ["TTFT", "time to first token: the first text came from the provider", (log) => log.ttft],
  ["TTLT", "time to last token: the last text came from the provider", (log) => log.ttlt],
  ["TTC", "time to complete: the ending is stored, and the run is idle", (log) => log.ttc],
];

export function Terms({ log }: { log: LogTimes | null }) {
  return (
    <section className="lab-terms" aria-labelledby="terms">
      <h2 id="terms">By the log</h2>
      <p className="lab-lead">
        The server notes when each event came from the provider. No transport can be sooner; the difference is the way
        from there to here.
      </p>
      <dl>
        {TERMS.map(([name, meaning, of]) => (
          <div key={name} data-testid="lab-log" data-term={name} data-ms={(log && of(log)) ?? undefined}>
            <dt>
              <abbr title={meaning}>{name}</abbr>
            </dt>
            <dd className="lab-time">{log ? seconds(of(log)) : "–"}</dd>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
