// When not to stream: three cases, each with real runs.

import { useEffect, useRef, useState } from "react";
import { useStrings } from "../common/strings";
import { useLabStrings } from "../common/strings/lab";
import { COMPARISONS, type Comparison, compare, type Measured, type Outcome, verdict } from "./comparisons";

export function NotStreaming({ model }: { model: string }) {
  const t = useLabStrings().lab;
  return (
    <section className="lab-cases" aria-labelledby="when-not">
      <h2 id="when-not">{t.whenNot}</h2>
      <p className="lab-lead">{t.whenNotLead}</p>
      <div className="lab-cards">
        {COMPARISONS.map((comparison) => (
          <Case key={comparison.id} comparison={comparison} model={model} />
        ))}
      </div>
    </section>
  );
}

function Case({ comparison, model }: { comparison: Comparison; model: string }) {
  const t = useLabStrings().lab;
  const { title, why } = t.cases[comparison.id];
  const { told } = useStrings().common;
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [error, setError] = useState("");
  const [running, setRunning] = useState(false);
  const reading = useRef<AbortController | null>(null);
  useEffect(() => () => reading.current?.abort(), []);
  const run = async () => {
    reading.current = new AbortController();
    setRunning(true);
    setError("");
    setOutcome(null);
    try {
      setOutcome(await compare(comparison, model, reading.current.signal));
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
    }
    setRunning(false);
  };
  return (
    <article
      className="lab-card"
      data-testid="lab-case"
      data-case={comparison.id}
      data-state={stateOf(running, outcome)}
    >
      <h3>{title}</h3>
      <p>{why}</p>
      <button type="button" className="button" onClick={run} disabled={running || !model} aria-busy={running}>
        {running ? t.asking : t.run}
        <span className="sr-only"> {title}</span>
      </button>
      <div aria-live="polite">
        {error && <p className="lab-error">{told(error)}</p>}
        {outcome && <Numbers outcome={outcome} />}
      </div>
    </article>
  );
}

function stateOf(running: boolean, outcome: Outcome | null): string {
  if (running) return "running";
  return outcome ? "done" : "idle";
}

function Numbers({ outcome }: { outcome: Outcome }) {
  const t = useLabStrings().lab;
  const { number } = useStrings().common;
  const { streamed, buffered } = outcome;
  const value = buffered.value.length > 120 ? "" : buffered.value;
  const rows: [string, (measured: Measured) => string][] = [
    [t.usableAfter, ({ usable }) => (usable === null ? t.never : `${number(Math.round(usable))} ms`)],
    [t.messages, ({ events }) => number(events)],
    [t.bytes, ({ bytes }) => number(bytes)],
    [t.triedInVain, ({ vain }) => number(vain)],
  ];
  return (
    <>
      <table
        data-testid="lab-comparison"
        data-streamed-ms={streamed.usable ?? undefined}
        data-buffered-ms={buffered.usable ?? undefined}
        data-streamed-bytes={streamed.bytes}
        data-buffered-bytes={buffered.bytes}
        data-streamed-vain={streamed.vain}
        data-buffered-vain={buffered.vain}
      >
        <thead>
          <tr>
            <td />
            <th scope="col">{t.streamedColumn}</th>
            <th scope="col">{t.bufferedColumn}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, show]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{show(streamed)}</td>
              <td>{show(buffered)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {value && <code className="lab-value">{value}</code>}
      <p>{verdict(outcome)}</p>
    </>
  );
}
