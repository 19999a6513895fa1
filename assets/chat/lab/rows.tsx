// One row per transport: a clock, when its text came, and the end of the text itself.

import { useStrings } from "../common/strings";
import { useLabStrings } from "../common/strings/lab";
import { seconds } from "./measure";
import type { Row, View } from "./race";

export function Rows({ view }: { view: View }) {
  const t = useLabStrings().lab;
  // All bars share one scale.
  const scale = Math.max(1000, ...view.rows.map((row) => row.clock));
  return (
    <ul className="lab-rows" aria-label={t.transports}>
      {view.rows.map((row) => (
        <TransportRow key={row.transport} row={row} scale={scale} />
      ))}
    </ul>
  );
}

function TransportRow({ row, scale }: { row: Row; scale: number }) {
  const { lab: t } = useLabStrings();
  const { number, told } = useStrings().common;
  const ended = row.state === "done";
  const begun = row.state !== "idle" && row.state !== "off";
  return (
    <li
      className="lab-row"
      data-testid="lab-row"
      data-transport={row.transport}
      data-state={row.state}
      data-first-ms={ended ? (row.first_ms ?? undefined) : undefined}
      data-last-ms={ended ? (row.last_ms ?? undefined) : undefined}
      data-bytes={ended ? row.bytes : undefined}
      data-words={ended ? row.words : undefined}
      data-words-read={ended ? row.words_read : undefined}
      data-speedup={ended ? (row.speedup ?? undefined) : undefined}
    >
      <div className="lab-name">
        <h2>{t.names[row.transport]}</h2>
        <p>{row.note ? told(row.note) : t.about[row.transport]}</p>
      </div>
      <div className="lab-clock">
        <span className="lab-time">{begun ? seconds(row.clock) : ""}</span>
        <span className="lab-state" data-state={row.state}>
          {t.states[row.state]}
        </span>
      </div>
      <Bar row={row} scale={scale} />
      <p className="lab-text" dir="auto" aria-hidden="true">
        <bdi>{row.tail}</bdi>
      </p>
      <dl className="lab-figures">
        <Figure name={t.firstText} value={seconds(row.first_ms)} />
        <Figure name={t.lastText} value={seconds(row.last_ms)} />
        <Figure name={t.bytes} value={begun ? number(row.bytes) : "–"} />
        <Figure name={t.wordsName} value={begun ? number(row.words) : "–"} />
        <Figure name={t.readByThen} value={begun ? t.nWords(row.words_read) : "–"} />
        <Figure name={t.speedUp} value={row.speedup === null ? "–" : t.times(row.speedup)} />
      </dl>
    </li>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

// Grey: nothing to read yet. Coloured: text is there.
function Bar({ row, scale }: { row: Row; scale: number }) {
  const percent = (ms: number) => `${Math.min(100, (100 * ms) / scale).toFixed(2)}%`;
  const first = row.first_ms ?? row.clock;
  return (
    <div className="lab-track" aria-hidden="true">
      {/* Not before a race: the content security policy lets the prerendered page have no style attribute. */}
      {row.clock > 0 && <span className="lab-wait" style={{ inlineSize: percent(first) }} />}
      {row.first_ms !== null && (
        <span
          className="lab-read"
          style={{ insetInlineStart: percent(first), inlineSize: percent(Math.max(row.clock - first, scale / 250)) }}
        />
      )}
    </div>
  );
}
