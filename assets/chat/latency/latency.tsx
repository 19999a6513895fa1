// The page /latency: how fast one's answers came, by model and day, what failed, and the slowest ones.

import "../common/base.css";
import "../common/panel.css";
import "../tools/tools.css";
import "../shell/shell.css";
import "../lab/lab.css";
import "./latency.css";

import { lazy, Suspense, useEffect, useId, useState } from "react";
import { basePath } from "../common/base-path";
import { RequestError, request } from "../common/request";
import { Bar } from "../lab/bar";
import { Table } from "../tools/table";
import type { PlotView } from "../tools/values";
import {
  byDay,
  COLUMNS,
  distribution,
  drawn,
  FIGURES,
  type FigureName,
  failures,
  type Report,
  rowsOf,
  type SlowAnswer,
  shown,
} from "./report";

// The chart library comes with the first chart, as it does in the chat.
const Plot = lazy(() => import("../tools/plot"));
const PERIODS = [1, 7, 30, 90, 365];

export function LatencyPage() {
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
        <h1>How fast your answers came</h1>
        <p className="lab-lead">
          The times that the server measured for each of your answers, from the moment in which the question arrived.
          Days are those of UTC.
        </p>
        <div className="latency-form">
          <Choice
            label="Period"
            testId="latency-days"
            value={String(days)}
            options={PERIODS.map((n) => [String(n), n === 1 ? "Today" : `${n} days`])}
            onChoose={(value) => setDays(Number(value))}
          />
          <Choice
            label="Figure"
            testId="latency-figure"
            value={figure}
            options={Object.entries(FIGURES).map(([name, { label }]) => [name, label])}
            onChoose={(value) => setFigure(value as FigureName)}
          />
          <Choice
            label="Model"
            testId="latency-model"
            value={chosen}
            options={[["", "All models"], ...models.map((name): [string, string] => [name, name])]}
            onChoose={setModel}
          />
        </div>
        {error && (
          <p className="lab-error" role="alert" data-testid="error">
            {error}
          </p>
        )}
        {!report && loading && <p className="lab-note">Loading …</p>}
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
  if (!report.answers) {
    return (
      <p className="lab-note" data-testid="latency-results" data-answers={0}>
        No answer was asked in these days. The figures of your answers will stand here.
      </p>
    );
  }
  const undrawn = report.models.length - drawn(report, "").length;
  return (
    <div className="latency-results" data-testid="latency-results" data-answers={report.answers} aria-busy={loading}>
      <p className="lab-note">
        {FIGURES[figure].label}: {FIGURES[figure].about}. {counted(report)}
        {!model && undrawn > 0 && ` The charts have the models with most answers; ${undrawn} more can be chosen above.`}
      </p>
      <section className="latency-models" aria-label="Models">
        <Table columns={COLUMNS} rows={rowsOf(report)} label="Models" />
      </section>
      <Chart name="by-day" view={byDay(report, figure, model)} />
      <Chart name="distribution" view={distribution(report, figure, model)} />
      <Chart name="failures" view={failures(report, model)} nothing="No answer failed or was interrupted." />
      <Slowest answers={report.slowest[figure]} figure={figure} />
    </div>
  );
}

function counted({ answers, complete, since }: Report): string {
  const number = answers.toLocaleString("en");
  const noun = answers === 1 ? "answer" : "answers";
  return complete ? `${number} ${noun} since ${since}.` : `The newest ${number} ${noun} since ${since}.`;
}

interface ChartProps {
  name: string;
  view: PlotView | null;
  nothing?: string;
}

function Chart({ name, view, nothing = "None of these answers has this figure." }: ChartProps) {
  if (!view) return <p className="lab-note">{nothing}</p>;
  return (
    <section className="latency-chart" data-testid="latency-chart" data-chart={name}>
      <Suspense fallback={<p className="note">Loading the chart …</p>}>
        <Plot view={view} />
      </Suspense>
    </section>
  );
}

function Slowest({ answers, figure }: { answers: SlowAnswer[]; figure: FigureName }) {
  if (!answers.length) return null;
  return (
    <section className="latency-slowest">
      <h2>Slowest answers</h2>
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
                {answer.model} · {new Date(answer.created_at).toLocaleString()}
                {answer.status !== "finished" && ` · ${answer.status}`}
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
