// The page /latency: how fast one's answers came, by model and day, what failed, and the slowest ones.

import "../common/base.css";
import "../common/panel.css";
import "../tools/tools.css";
import "../shell/shell.css";
import "../lab/lab.css";
import "./latency.css";

import { Suspense, useEffect, useId, useState } from "react";
import { basePath } from "../common/base-path";
import { lazyPart } from "../common/lazy-part";
import { RequestError, request } from "../common/request";
import { useStrings } from "../common/strings";
import { useLabStrings } from "../common/strings/lab";
import { Bar } from "../lab/bar";
import { Table } from "../tools/table";
import type { PlotView } from "../tools/values";
import {
  byDay,
  distribution,
  drawn,
  type FigureName,
  failures,
  type Report,
  rowsOf,
  type SlowAnswer,
  shown,
} from "./report";

// The chart library comes with the first chart, as it does in the chat.
const Plot = lazyPart(() => import("../tools/plot"));
const PERIODS = [1, 7, 30, 90, 365];

export function LatencyPage() {
  const t = useLabStrings().latency;
  const [days, setDays] = useState(30);
  const [figure, setFigure] = useState<FigureName>("ttft_ms");
  const [model, setModel] = useState("");
  const { report, error, loading } = useReport(days);
  const models = report?.models.map((group) => group.model) ?? [];
  const chosen = models.includes(model) ? model : "";
  return (
    <div className="lab">
      <Bar />
      <main className="lab-main">
        <h1>{t.title}</h1>
        <p className="lab-lead">{t.lead}</p>
        <div className="latency-form">
          <Choice
            label={t.period}
            testId="latency-days"
            value={String(days)}
            options={PERIODS.map((n) => [String(n), t.days(n)])}
            onChoose={(value) => setDays(Number(value))}
          />
          <Choice
            label={t.figure}
            testId="latency-figure"
            value={figure}
            options={Object.entries(t.figures).map(([name, { label }]) => [name, label])}
            onChoose={(value) => setFigure(value as FigureName)}
          />
          <Choice
            label={t.model}
            testId="latency-model"
            value={chosen}
            options={[["", t.allModels], ...models.map((name): [string, string] => [name, name])]}
            onChoose={setModel}
          />
        </div>
        {error && (
          <p className="lab-error" role="alert" data-testid="error">
            {error}
          </p>
        )}
        {!report && loading && <p className="lab-note">{t.loading}</p>}
        {report && <Results report={report} figure={figure} model={chosen} loading={loading} />}
      </main>
    </div>
  );
}

// The newest report of this period; the one before stays until it is there.
function useReport(days: number): { report: Report | null; error: string; loading: boolean } {
  const [report, setReport] = useState<Report | null>(null);
  const [error, setError] = useState("");
  const [loading, setLoading] = useState(true);
  useEffect(() => {
    let current = true;
    setLoading(true);
    request<Report>("GET", `/api/latency?days=${days}`)
      .then(
        (found) => ({ found, problem: "" }),
        (error) => ({ found: null, problem: error instanceof RequestError ? error.message : String(error) }),
      )
      .then(({ found, problem }) => {
        if (!current) return;
        if (found) setReport(found);
        setError(problem);
        setLoading(false);
      });
    return () => {
      current = false;
    };
  }, [days]);
  return { report, error, loading };
}

interface ResultsProps {
  report: Report;
  figure: FigureName;
  model: string;
  loading: boolean;
}

function Results({ report, figure, model, loading }: ResultsProps) {
  const t = useLabStrings().latency;
  const { decimal } = useStrings().common;
  if (!report.answers) {
    return (
      <p className="lab-note" data-testid="latency-results" data-answers={0}>
        {t.noAnswers}
      </p>
    );
  }
  const { answers, complete, since } = report;
  const undrawn = report.models.length - drawn(report, "").length;
  return (
    <div className="latency-results" data-testid="latency-results" data-answers={report.answers} aria-busy={loading}>
      <p className="lab-note">
        {t.explained(t.figures[figure].label, t.figures[figure].about, (complete ? t.all : t.newest)(answers, since))}{" "}
        {!model && undrawn > 0 && t.undrawn(undrawn)}
      </p>
      <section className="latency-models" aria-label={t.models}>
        <Table columns={t.columns} rows={rowsOf(report)} label={t.models} number={decimal} />
      </section>
      <Chart name="by-day" view={byDay(report, figure, model)} />
      <Chart name="distribution" view={distribution(report, figure, model)} />
      <Chart name="failures" view={failures(report, model)} nothing={t.noFailure} />
      <Slowest answers={report.slowest[figure]} figure={figure} />
    </div>
  );
}

interface ChartProps {
  name: string;
  view: PlotView | null;
  nothing?: string;
}

function Chart({ name, view, nothing }: ChartProps) {
  const t = useLabStrings().latency;
  if (!view) return <p className="lab-note">{nothing ?? t.noFigure}</p>;
  return (
    <section className="latency-chart" data-testid="latency-chart" data-chart={name}>
      <Suspense fallback={<p className="note">{t.loadingChart}</p>}>
        <Plot view={view} />
      </Suspense>
    </section>
  );
}

function Slowest({ answers, figure }: { answers: SlowAnswer[]; figure: FigureName }) {
  const t = useLabStrings().latency;
  if (!answers.length) return null;
  return (
    <section className="latency-slowest">
      <h2>{t.slowest}</h2>
      <ol>
        {answers.map((answer) => (
          <li key={answer.message_id}>
            <a
              href={`${basePath()}/c/${answer.conversation_id}#${answer.message_id}`}
              data-testid="slow-answer"
              data-message-id={answer.message_id}
            >
              <span className="title" dir="auto">
                {answer.title}
              </span>
              <span className="value">{shown(figure, answer.value)}</span>
              <small>
                {answer.model} · {t.at(new Date(answer.created_at))}
                {answer.status !== "finished" && ` · ${t.statuses[answer.status] ?? answer.status}`}
              </small>
            </a>
          </li>
        ))}
      </ol>
    </section>
  );
}

interface ChoiceProps {
  label: string;
  testId: string;
  value: string;
  options: [string, string][];
  onChoose: (value: string) => void;
}

function Choice({ label, testId, value, options, onChoose }: ChoiceProps) {
  const id = useId();
  return (
    <label htmlFor={id}>
      {label}
      <select id={id} data-testid={testId} value={value} onChange={(event) => onChoose(event.target.value)}>
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
