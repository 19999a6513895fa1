// What is asked: prompt, model, and how the simulator answers.

import { FileUp, Play, Square } from "lucide-react";
import { type ChangeEvent, type FormEvent, type KeyboardEvent, useEffect, useId, useState } from "react";
import { useLabStrings } from "../common/strings/lab";
import type { LabStrings } from "../common/strings/lab/en";
import { isSimulated, NUMBERS, type NumberName, numberOf, type Question, questionFrom, REPLAY, USUAL } from "./measure";
import type { Recording } from "./race";
import { listModels } from "./readers";

const FALLBACK = "simulator:tour";
const WARM_MS = 10_000;
const LARGEST: Record<NumberName, number> = { ttft: 60_000, rate: 100_000, n: 20_000, jitter: 60_000 };

interface Props {
  running: boolean;
  /** The model whose provider has been started. */
  warm: string;
  /** With a recording: play it instead of asking. */
  onStart: (question: Question, recording?: Recording) => void;
  onStop: () => void;
  /** The model that is chosen. */
  onModel: (model: string) => void;
}

export function QuestionForm({ running, warm, onStart, onStop, onModel }: Props) {
  const t = useLabStrings().lab;
  const [question, setQuestion] = useState(USUAL);
  const { models, problem } = useModels();
  const id = useId();
  // The address is known in the browser only, after the page was rendered.
  useEffect(() => setQuestion(questionFrom(location.search)), []);
  const model = chosen(question.model, models);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another model is news
  useEffect(() => onModel(model), [model]);
  const set = (change: Partial<Question>) => setQuestion((old) => ({ ...old, ...change }));
  // The start of a provider belongs to no answer's times; but nobody waits for it for ever.
  const waited = useElapsed(model, WARM_MS);
  const warming = Boolean(model) && warm !== model && !waited;
  const ready = Boolean(model) && !warming && question.prompt.trim() !== "";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready && !running) onStart({ ...question, model });
  };
  const replay = async ({ target }: ChangeEvent<HTMLInputElement>) => {
    const file = target.files?.[0];
    if (!file) return;
    const text = await file.text();
    target.value = ""; // the same file may be played again
    onStart({ ...question, prompt: file.name, model: REPLAY }, { name: file.name, text });
  };
  const pressed = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) submit(event);
  };
  return (
    <form className="lab-form" onSubmit={submit}>
      <label className="wide" htmlFor={`${id}-prompt`}>
        {t.prompt}
        <textarea
          id={`${id}-prompt`}
          data-testid="lab-prompt"
          rows={2}
          maxLength={4000}
          value={question.prompt}
          onChange={(event) => set({ prompt: event.target.value })}
          onKeyDown={pressed}
        />
      </label>
      <label className="lab-model" htmlFor={`${id}-model`}>
        {t.model}
        <select
          id={`${id}-model`}
          data-testid="lab-model"
          value={model}
          onChange={(event) => set({ model: event.target.value })}
        >
          {!models && <option value={model}>{t.loading}</option>}
          {models?.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {isSimulated(model) &&
        NUMBERS.map((name) => (
          <label key={name} htmlFor={`${id}-${name}`}>
            {t.fields[name]}
            <span className="lab-number">
              <input
                id={`${id}-${name}`}
                type="number"
                inputMode="numeric"
                min={0}
                max={LARGEST[name]}
                step="any"
                value={question[name] ?? ""}
                onChange={(event) => set({ [name]: numberOf(event.target.value) })}
              />
              {t.units[name]}
            </span>
          </label>
        ))}
      <div className="lab-buttons">
        <button type="submit" className="button primary" data-testid="lab-start" disabled={!ready || running}>
          <Play size={16} />
          {running ? t.racing : t.start}
        </button>
        {running && (
          <button type="button" className="button" data-testid="lab-stop" onClick={onStop}>
            <Square size={14} />
            {t.stop}
          </button>
        )}
        {models?.some(isSimulated) && (
          <label className="quiet lab-file">
            <FileUp size={14} />
            {t.replay}
            <input
              type="file"
              accept=".json,application/json"
              data-testid="lab-replay"
              onChange={replay}
              disabled={running}
            />
          </label>
        )}
        <p className="note">{problem || (warming ? t.starting : cost(model, t))}</p>
      </div>
    </form>
  );
}

// Whether this many milliseconds have passed since the value changed.
function useElapsed(value: string, ms: number): boolean {
  const [passed, setPassed] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setPassed(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return passed === value && value !== "";
}

function cost(model: string, t: LabStrings["lab"]): string {
  if (!model) return "";
  return isSimulated(model) ? t.scripted : t.askedOnce;
}

/** The model of the address if it can be used, else the simulator, else the first one. */
export function chosen(named: string, models: string[] | null): string {
  if (!models) return named;
  return [named, FALLBACK].find((name) => models.includes(name)) ?? models.find(isSimulated) ?? models[0] ?? "";
}

function useModels(): { models: string[] | null; problem: string } {
  const [models, setModels] = useState<string[] | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let current = true;
    listModels()
      .then((list) => current && setModels(list))
      .catch((error: Error) => current && setProblem(error.message));
    return () => {
      current = false;
    };
  }, []);
  return { models, problem };
}
