// A tool call that waits for approval: its arguments in a form, and the decision.
//
// There is no <form> here: Enter in a field decides nothing. The focus stays where the reader put it.

import {
  type KeyboardEvent,
  type RefObject,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { useChat } from "../chat";
import type { ToolCallPart } from "../store/frames";
import { type Decision, useActions } from "../transcript/actions";
import { Fields } from "./fields";
import { Inputs } from "./form-inputs";
import { draftOf, formOf, type GroupDraft, readDraft, same } from "./schema-form";

interface Props {
  part: ToolCallPart;
  runId: string;
}

/** What is typed stays while the call is the same; another schema (its server came back) makes another form. */
export function Approval({ part, runId }: Props) {
  const { schema, arguments: args } = part;
  const call = useMemo(() => JSON.stringify([schema, args]), [schema, args]);
  return <ApprovalForm key={call} part={part} runId={runId} />;
}

function ApprovalForm({ part, runId }: Props) {
  const form = useMemo(() => formOf(part.schema, part.arguments ?? {}), [part.schema, part.arguments]);
  const [draft, setDraft] = useState(() => draftOf(form) as GroupDraft);
  const [reason, setReason] = useState("");
  const [always, setAlways] = useState(false);
  const [tried, setTried] = useState(false);
  const { sent, refusal, decide } = useDecision(runId, part.id);
  const place = usePlace(runId, part.id);
  const element = useFocusKeeper();
  const id = useId();
  // The first field that is wrong, once it is marked.
  const refocus = useRef(false);
  useEffect(() => {
    if (!refocus.current) return;
    refocus.current = false;
    element.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  });

  const { value, errors } = readDraft(form, draft);
  const edited = errors.length > 0 || !same(value, part.arguments ?? {});
  const approve = () => {
    setTried(true);
    if (errors.length) refocus.current = true;
    else decide({ approve: true, arguments: edited ? value : null, reason: "", always });
  };
  const deny = () => decide({ approve: false, arguments: null, reason: reason.trim(), always: false });
  const labels = labelsFor(part, edited);

  return (
    <div className="approval" role="group" aria-label={`Approve ${part.name}`} ref={element} onKeyDown={keepEscape}>
      <p className="question-to-you">
        {labels.question}
        {place && <span className="kind"> {place}</span>}
      </p>
      {form.fields.length > 0 && (
        <Inputs group={form} draft={draft} onChange={setDraft} errors={new Map(tried ? errors : [])} disabled={sent} />
      )}
      {form.fields.length === 0 && <Fields fields={{}} />}
      {refusal && <p className="tool-error refusal">{refusal}</p>}
      {tried && errors.length > 0 && <p className="tool-error">Please check the marked fields.</p>}
      <label className="always">
        <input type="checkbox" checked={always} disabled={sent} onChange={(event) => setAlways(event.target.checked)} />
        <span>
          Always allow <bdi className="tool-name">{part.name}</bdi> in this conversation
        </span>
      </label>
      <div className="decision">
        <button type="button" className="button primary" aria-disabled={sent} data-testid="approve" onClick={approve}>
          {labels.approve}
        </button>
        <div className="denial">
          <label className="sr-only" htmlFor={`${id}r`}>
            Reason for the model (optional)
          </label>
          <input
            id={`${id}r`}
            type="text"
            placeholder="Reason (optional)"
            autoComplete="off"
            maxLength={500}
            disabled={sent}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
          <button type="button" className="button" aria-disabled={sent} data-testid="deny" onClick={deny}>
            {labels.deny}
          </button>
        </div>
      </div>
    </div>
  );
}

// Which of several calls that wait it is: "1 of 2", else "".
function usePlace(runId: string, callId: string): string {
  const { store } = useChat();
  const [subscribe, place] = useMemo(() => {
    const place = () => {
      const parts = store.message(runId)?.parts ?? [];
      const waiting = parts.filter((part) => part.type === "tool_call" && part.state === "awaiting-approval");
      const index = waiting.findIndex((part) => part.type === "tool_call" && part.id === callId);
      return waiting.length > 1 && index >= 0 ? `${index + 1} of ${waiting.length}` : "";
    };
    return [(listener: () => void) => store.subscribe(runId, listener), place] as const;
  }, [store, runId, callId]);
  return useSyncExternalStore(subscribe, place, place);
}

function labelsFor({ again }: ToolCallPart, edited: boolean) {
  if (again) {
    return {
      question: "The server stopped while this tool was running. It may have taken effect already. Run it again?",
      approve: edited ? "Run again with changes" : "Run again",
      deny: "Do not run",
    };
  }
  return {
    question: "The model wants to run this tool.",
    approve: edited ? "Approve with changes" : "Approve",
    deny: "Deny",
  };
}

// One decision at a time (its buttons are not disabled: they would lose the focus). It may be made again if it was
// refused, or after a reconnect, when nobody knows whether it arrived.
function useDecision(runId: string, callId: string) {
  const { store } = useChat();
  const actions = useActions();
  const [sent, setSent] = useState(false);
  const [refusal, setRefusal] = useState("");
  useEffect(
    () =>
      store.onFrame((frame) => {
        if (frame.k === "undecided" && frame.m === runId && frame.call === callId) {
          setSent(false);
          setRefusal(frame.text);
        } else if (frame.k === "open") setSent(false);
      }),
    [store, runId, callId],
  );
  const decide = (decision: Decision) => {
    if (sent) return;
    setSent(true);
    setRefusal("");
    actions.decide(runId, callId, decision);
  };
  return { sent, refusal, decide };
}

// When the form disappears, the keyboard stays in its panel.
function useFocusKeeper(): RefObject<HTMLDivElement | null> {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const { current } = element;
    return () => {
      if (!current?.contains(document.activeElement)) return;
      current.closest("details")?.querySelector("summary")?.focus({ preventScroll: true });
    };
  }, []);
  return element;
}

// Escape stops the answer, but not from within a field: what was typed there would be lost.
function keepEscape(event: KeyboardEvent): void {
  const inField = event.target instanceof Element && /^(TEXTAREA|INPUT|SELECT)$/.test(event.target.tagName);
  if (event.key === "Escape" && inField) event.preventDefault();
}
