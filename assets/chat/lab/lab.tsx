// The page /lab: what streaming changes, measured in front of the reader.

import "../common/base.css";
import "../common/panel.css";
import "../tools/tools.css";
import "../shell/shell.css";
import "./lab.css";

import { Download, Link } from "lucide-react";
import { Suspense, useEffect, useRef, useState } from "react";
import { basePath } from "../common/base-path";
import { CopyButton } from "../common/copy-button";
import { lazyPart } from "../common/lazy-part";
import { useStateVar } from "../common/reflex";
import { useLabStrings } from "../common/strings/lab";
import type { LabStrings } from "../common/strings/lab/en";
import type { PlotView } from "../tools/values";
import { Bar } from "./bar";
import { Exports } from "./exports";
import { QuestionForm } from "./form";
import {
  type Question,
  queryOf,
  READING_AUTHOR,
  READING_SOURCE,
  REPLAY,
  type Sample,
  seconds,
  WORDS_PER_MINUTE,
  wordsRead,
} from "./measure";
import { NotStreaming } from "./not-streaming";
import { type GrpcFrame, type PageFrame, Race, type Recording, type View } from "./race";
import { Rows } from "./rows";
import { Terms } from "./terms";

const Plot = lazyPart(() => import("../tools/plot"));
const POINTS = 60; // of a line of the chart
const TICK_MS = 50;

interface Props {
  /** The full name of the Reflex state with the vars `f` and `g`. */
  state: string;
  onWarm: (model: string) => void;
  onRace: (runId: string) => void;
  onGrpc: (runId: string) => void;
}

export function LabPage({ state, onWarm, onRace, onGrpc }: Props) {
  const t = useLabStrings().lab;
  const [race] = useState(() => new Race());
  const [model, setModel] = useState("");
  const [warm, setWarm] = useState("");
  const { view, watch } = useView(race);
  const track = useRef<HTMLDivElement>(null);
  useStateVar<PageFrame>(state, "f", (frame) => race.pageFrame(frame));
  useStateVar<string>(state, "w", (value) => setWarm(value ?? ""));
  useStateVar<GrpcFrame>(state, "g", (frame) => race.grpcFrame(frame));
  useEffect(() => () => race.dispose(), [race]);
  const choose = (next: string) => {
    setModel(next);
    if (next) onWarm(next);
  };
  const run = (question: Question, recording?: Recording) => {
    // The address repeats the race; it fills in the form, and whoever opens it decides whether to ask.
    if (!recording) history.replaceState(history.state, "", `${basePath()}/lab?${queryOf(question)}`);
    const follow = (runId: string) => {
      onRace(runId);
      onGrpc(runId);
    };
    void race.start(question, follow, recording);
    watch();
    // All rows are in sight while they run.
    track.current?.scrollIntoView({ block: "start" });
  };
  return (
    <div className="lab">
      <Bar />
      <main className="lab-main">
        <h1>{t.title}</h1>
        <p className="lab-lead">{t.lead}</p>
        <QuestionForm
          running={view.state === "running"}
          warm={warm}
          onStart={run}
          onStop={() => race.stop()}
          onModel={choose}
        />
        <div className="lab-race" ref={track} data-testid="lab-race" data-state={view.state} data-run-id={view.runId}>
          <Headline view={view} />
          <Rows view={view} />
        </div>
        <p className="lab-note">
          {t.note(WORDS_PER_MINUTE)} (<a href={READING_SOURCE}>{READING_AUTHOR}</a>).
        </p>
        {view.state === "done" && !view.error && <After view={view} />}
        <NotStreaming model={model} />
        <Terms log={view.log} />
      </main>
    </div>
  );
}

// Renders what the race is at, a few times a second while it runs.
function useView(race: Race): { view: View; watch: () => void } {
  const [view, setView] = useState(() => race.view());
  const frame = useRef(0);
  useEffect(() => () => cancelAnimationFrame(frame.current), []);
  const watch = () => {
    cancelAnimationFrame(frame.current);
    let shown = 0;
    const tick = (now: number) => {
      const next = race.view();
      if (now - shown >= TICK_MS || next.state !== "running") {
        shown = now;
        setView(next);
      }
      if (next.state === "running") frame.current = requestAnimationFrame(tick);
    };
    tick(0);
  };
  return { view, watch };
}

function Headline({ view }: { view: View }) {
  const t = useLabStrings().lab;
  const { headline, rows, state, error } = view;
  const buffered = rows[0].first_ms;
  if (error) {
    return (
      <p className="lab-error" role="alert" data-testid="error">
        {error}
      </p>
    );
  }
  return (
    <section className="lab-headline" aria-live="polite" aria-label={t.perceived}>
      {state === "done" && headline?.speedup ? (
        <>
          <strong data-testid="speedup" data-value={headline.speedup}>
            {t.times(headline.speedup)}
          </strong>
          <p>{t.sooner(seconds(headline.first_ms), seconds(buffered))}</p>
        </>
      ) : (
        <p>{{ idle: t.pressStart, running: t.reading, done: t.nothingToCompare }[state]}</p>
      )}
    </section>
  );
}

function After({ view }: { view: View }) {
  const t = useLabStrings().lab;
  const link = `${basePath()}/lab?${view.question ? queryOf(view.question) : ""}`;
  return (
    <>
      <section className="lab-chart">
        <Suspense fallback={<p className="note">{t.loadingChart}</p>}>
          <Plot view={chartOf(view, t)} />
        </Suspense>
      </section>
      <section className="lab-actions" aria-label={t.results}>
        <Exports rows={view.rows} view={view} />
        {view.question?.model !== REPLAY && (
          <>
            <a className="quiet" href={link} data-testid="lab-link">
              <Link size={14} />
              {t.repeat}
            </a>
            <CopyButton text={() => location.origin + link} label={t.copyRepeat} />
          </>
        )}
        <a
          className="quiet"
          href={`${basePath()}/api/runs/${view.runId}/recording`}
          download
          data-testid="lab-recording"
        >
          <Download size={14} />
          {t.recording}
        </a>
        <a className="quiet" href={`${basePath()}/c/${view.conversationId}`}>
          {t.openAnswer}
        </a>
      </section>
    </>
  );
}

// What had arrived, streamed and buffered, and what had been read. The streamed transports lie on one another: one of
// them is drawn.
function chartOf({ samples, headline, rows }: View, t: LabStrings["lab"]): PlotView {
  const streamed = samples[headline?.transport ?? "page"] ?? [];
  const buffered = samples.buffered ?? [];
  const end = Math.max(...rows.map((row) => row.last_ms ?? 0), 1);
  const name = headline ? t.names[headline.transport] : t.streamed;
  const times = Array.from({ length: POINTS + 1 }, (_, i) => (end * i) / POINTS);
  const first = buffered[0]?.[0];
  const points = (of: (at: number) => number, also: number[] = []) =>
    [...times, ...also].sort((a, b) => a - b).map((at): [number, number] => [Math.round(at) / 1000, of(at)]);
  return {
    kind: "plot",
    form: "line",
    title: t.wordsOverTime,
    xLabel: t.secondsFromSend,
    yLabel: t.words,
    left: 0,
    series: [
      {
        name: t.arrived(name),
        points: points(
          (at) => arrived(streamed, at),
          streamed.slice(0, 1).map(([at]) => at),
        ),
      },
      { name: t.arrivedBuffered, points: points((at) => arrived(buffered, at), first ? [first - 1, first] : []) },
      { name: t.readAt(WORDS_PER_MINUTE), points: points((at) => wordsRead(streamed, at)) },
    ],
  };
}

function arrived(samples: readonly Sample[], at: number): number {
  return samples.findLast(([time]) => time <= at)?.[1] ?? 0;
}
