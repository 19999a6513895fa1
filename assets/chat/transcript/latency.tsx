// How fast an answer came: one figure under it, and its anatomy as a timeline in its details.

import "./latency.css";

import type { Timing } from "../store/frames";

/** The time until something could be read. */
export function Latency({ timing }: { timing: Timing | undefined }) {
  if (timing?.ttc_ms === undefined) return null;
  const attributes = {
    "data-ttfb-ms": timing.ttfb_ms,
    "data-ttft-ms": timing.ttft_ms,
    "data-ttlt-ms": timing.ttlt_ms,
    "data-ttc-ms": timing.ttc_ms,
  };
  const first = timing.ttft_ms ?? timing.ttc_ms;
  const what = timing.ttft_ms === undefined ? "Time to the end" : "Time to the first token";
  return (
    <span className="latency" data-testid="latency" title={`${what}; the details have all times`} {...attributes}>
      <span className="sr-only">{what}: </span>
      {seconds(first)}
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
  const total = timing.ttc_ms;
  if (total === undefined) return null;
  const stages = stagesOf(timing, total);
  return (
    <figure className="timeline">
      <figcaption className="sr-only">Anatomy of the answer's latency</figcaption>
      <ol>
        {stages.map(({ name, from, to }) => (
          <li key={name}>
            <span className="name">{name}</span>
            <span className="stage" aria-hidden="true">
              <span style={{ marginInlineStart: percent(from, total), width: percent(to - from, total) }} />
            </span>
            <span className="value">{milliseconds(to - from)}</span>
          </li>
        ))}
      </ol>
      <p>{linesOf(timing).join(" · ")}</p>
    </figure>
  );
}

function stagesOf(timing: Timing, total: number): Stage[] {
  const marks: [string, number | undefined][] = [
    ["Asked the provider", timing.asked_ms],
    ["Connected to it", timing.connected_ms],
    ["First byte (TTFB)", timing.ttfb_ms],
    ["First token (TTFT)", timing.ttft_ms],
    ["Last token (TTLT)", timing.ttlt_ms],
    ["Complete (TTC)", total],
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
  const lines = [`${seconds(timing.ttc_ms ?? 0)} in all`];
  if (timing.reasoning_ms) lines.push(`thought for ${seconds(timing.reasoning_ms)}`);
  if (timing.tools_ms) lines.push(`tools ${seconds(timing.tools_ms)}`);
  if (timing.waited_ms) lines.push(`waited for you ${seconds(timing.waited_ms)}`);
  if (timing.tokens_per_second !== undefined) lines.push(`${timing.tokens_per_second} tokens/s`);
  if (timing.gap_p50_ms !== undefined && timing.gap_p95_ms !== undefined)
    lines.push(`between tokens ${milliseconds(timing.gap_p50_ms)}, 95 % below ${milliseconds(timing.gap_p95_ms)}`);
  if (timing.stalls) lines.push(`${timing.stalls} stall${timing.stalls === 1 ? "" : "s"} over a second`);
  if (timing.cached_tokens) lines.push(`${timing.cached_tokens.toLocaleString("en")} tokens from the cache`);
  return lines;
}

const percent = (part: number, whole: number) => `${whole > 0 ? (100 * part) / whole : 0}%`;
const seconds = (ms: number) => `${(ms / 1000).toFixed(ms < 9_950 ? 2 : 1)} s`;
export const milliseconds = (ms: number) =>
  ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms).toLocaleString("en")} ms`;
