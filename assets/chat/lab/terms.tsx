// The four times of an answer, in words, with those of the last race.

import { useLabStrings } from "../common/strings/lab";
import { seconds } from "./measure";
import type { LogTimes } from "./race";

const TERMS = ["ttfb", "ttft", "ttlt", "ttc"] as const;

export function Terms({ log }: { log: LogTimes | null }) {
  const t = useLabStrings().lab;
  return (
    <section className="lab-terms" aria-labelledby="terms">
      <h2 id="terms">{t.byTheLog}</h2>
      <p className="lab-lead">{t.byTheLogLead}</p>
      <dl>
        {TERMS.map((name) => (
          <div key={name} data-testid="lab-log" data-term={name.toUpperCase()} data-ms={log?.[name] ?? undefined}>
            <dt>
              <abbr title={t.terms[name]}>{name.toUpperCase()}</abbr>
            </dt>
            <dd className="lab-time">{log ? seconds(log[name]) : "–"}</dd>
            <dd>{t.terms[name]}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
