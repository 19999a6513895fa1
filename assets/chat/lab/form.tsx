// What is asked: prompt, model, and how the simulator answers.

import { FileUp, Play, Square } from "lucide-react";
import { type ChangeEvent, type FormEvent, type KeyboardEvent, useEffect, useId, useState } from "react";
import { isSimulated, NUMBERS, type NumberName, numberOf, type Question, questionFrom, REPLAY, USUAL } from "./measure";
import type { Recording } from "./race";
import { listModels } from "./readers";

const FALLBACK = "simulator:tour";
const WARM_MS = 10_000;
const FIELDS: Record<NumberName, { label: string; unit: string; max: number }> = {
  ttft: { label: "First token after", unit: "ms", max: 60_000 },
  rate: { label: "Rate", unit: "tokens/s", max: 100_000 },
  n: { label: "Length", unit: "tokens", max: 20_000 },
  jitter: { label: "Jitter", unit: "ms", max: 60_000 },
};

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
        Prompt
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
        Model
        <select
          id={`${id}-model`}
          data-testid="lab-model"
          value={model}
          onChange={(event) => set({ model: event.target.value })}
        >
          {!models && <option value={model}>Loading …</option>}
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
            {FIELDS[name].label}
            <span className="lab-number">
              <input
                id={`${id}-${name}`}
                type="number"
                inputMode="numeric"
                min={0}
                max={FIELDS[name].max}
                step="any"
                value={question[name] ?? ""}
                onChange={(event) => set({ [name]: numberOf(event.target.value) })}
              />
              {FIELDS[name].unit}
            </span>
          </label>
        ))}
      <div className="lab-buttons">
        <button type="submit" className="button primary" data-testid="lab-start" disabled={!ready || running}>
          <Play size={16} />
          {running ? "Racing …" : "Start"}
        </button>
        {running && (
          <button type="button" className="button" data-testid="lab-stop" onClick={onStop}>
            <Square size={14} />
            Stop
          </button>
        )}
        {models?.some(isSimulated) && (
          <label className="quiet lab-file">
            <FileUp size={14} />
            Replay a recording
            <input
              type="file"
              accept=".json,application/json"
              data-testid="lab-replay"
              onChange={replay}
              disabled={running}
            />
          </label>
        )}
        <p className="note">{problem || (warming ? "Starting the model …" : cost(model))}</p>
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

function cost(model: string): string {
  if (!model) return "";
  if (isSimulated(model)) return "The simulator answers: scripted, free, over real sockets.";
  return "The model is asked once, however many transports read the answer.";
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
