// How fast an answer came: one figure under it, and its anatomy as a timeline in its details.

import "./latency.css";

import { strings, useStrings } from "../common/strings";
import type { Timing } from "../store/frames";

/** The time until something could be read. */
export function Latency({ timing }: { timing: Timing | undefined }) {
  const t = useStrings().transcript;
  if (timing?.ttc_ms === undefined) return null;
  const attributes = {
    "data-ttfb-ms": timing.ttfb_ms,
    "data-ttft-ms": timing.ttft_ms,
    "data-ttlt-ms": timing.ttlt_ms,
    "data-ttc-ms": timing.ttc_ms,
  };
  const first = timing.ttft_ms ?? timing.ttc_ms;
  const what = timing.ttft_ms === undefined ? t.timeToEnd : t.timeToFirst;
  return (
    <span className="latency" data-testid="latency" title={t.latencyHint(what)} {...attributes}>
      <span className="sr-only">{`${what}: `}</span>
      {strings().common.seconds(first)}
    </span>
  );
}

interface Stage {
  name: string;
  from: number;
  to: number;
}

/** From the question to the stored ending. */
export function Timeline({ timing }: { timing: Timing }) {
  const t = useStrings().transcript;
  const total = timing.ttc_ms;
  if (total === undefined) return null;
  const stages = stagesOf(timing, total);
  return (
    <figure className="timeline">
      <figcaption className="sr-only">{t.anatomy}</figcaption>
      <ol>
        {stages.map(({ name, from, to }) => (
          <li key={name}>
            <span className="name">{name}</span>
            <span className="stage" aria-hidden="true">
              <span style={{ marginInlineStart: percent(from, total), width: percent(to - from, total) }} />
            </span>
            <span className="value">{strings().common.milliseconds(to - from)}</span>
          </li>
        ))}
      </ol>
      <p>{linesOf(timing).join(" · ")}</p>
    </figure>
  );
}

function stagesOf(timing: Timing, total: number): Stage[] {
  const t = strings().transcript;
  const marks: [string, number | undefined][] = [
    [t.asked, timing.asked_ms],
    [t.connected, timing.connected_ms],
    [t.firstByte, timing.ttfb_ms],
    [t.firstToken, timing.ttft_ms],
    [t.lastToken, timing.ttlt_ms],
    [t.completeTtc, total],
  ];
  const stages: Stage[] = [];
  let from = 0;
  for (const [name, to] of marks) {
    if (to === undefined) continue;
    stages.push({ name, from, to: Math.max(from, to) });
    from = Math.max(from, to);
  }
  return stages;
}

function linesOf(timing: Timing): string[] {
  const {
    transcript: t,
    common: { seconds, milliseconds },
  } = strings();
  const lines = [t.inAll(seconds(timing.ttc_ms ?? 0))];
  if (timing.reasoning_ms) lines.push(t.thoughtTime(seconds(timing.reasoning_ms)));
  if (timing.tools_ms) lines.push(t.tools(seconds(timing.tools_ms)));
  if (timing.waited_ms) lines.push(t.waitedForYou(seconds(timing.waited_ms)));
  if (timing.tokens_per_second !== undefined) lines.push(t.tokensPerSecond(timing.tokens_per_second));
  if (timing.gap_p50_ms !== undefined && timing.gap_p95_ms !== undefined)
    lines.push(t.betweenTokens(milliseconds(timing.gap_p50_ms), milliseconds(timing.gap_p95_ms)));
  if (timing.stalls) lines.push(t.stalls(timing.stalls));
  if (timing.cached_tokens) lines.push(t.cached(timing.cached_tokens));
  return lines;
}

const percent = (part: number, whole: number) => `${whole > 0 ? (100 * part) / whole : 0}%`;
