// A tool call that waits for a person: its arguments in a form, and the decision.
//
// Nothing here is a <form>: Enter in a field decides nothing. The focus stays where the reader put it.

import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "react";

import { actions, store } from "./session.js";
import { draftOf, formOf, same, valueOf } from "./tool-form.js";
import { Inputs } from "./tool-inputs.jsx";
import { Fields } from "./tool-fields.jsx";

// What is typed stays while the call is the same; another schema (its server came back) makes another form.
export function Approval({ part, run }) {
  const { schema, arguments: args } = part;
  const call = useMemo(() => JSON.stringify([schema, args]), [schema, args]);
  return <Form key={call} part={part} run={run} />;
}

function Form({ part, run }) {
  const form = useMemo(() => formOf(part.schema, part.arguments ?? {}), [part.schema, part.arguments]);
  const [draft, setDraft] = useState(() => draftOf(form));
  const [reason, setReason] = useState("");
  const [always, setAlways] = useState(false);
  const [tried, setTried] = useState(false);
  const { sent, refusal, decide } = useDecision(run, part.id);
  const element = useFocusKept();
  const id = useId();

  const { value, errors } = valueOf(form, draft);
  const edited = errors.length > 0 || !same(value, part.arguments ?? {});
  const approve = () => {
    setTried(true);
    if (!errors.length) decide({ approve: true, arguments: edited ? value : null, reason: "", always });
  };
  const deny = () => decide({ approve: false, arguments: null, reason: reason.trim(), always: false });
  const words = wordsFor(part, edited);

  return (
    <div className="approval" role="group" aria-label={`Approve ${part.name}`} ref={element} onKeyDown={keepEscape}>
      <p className="question-to-you">{words.question}</p>
      {form.fields.length > 0 && <Inputs group={form} draft={draft} onChange={setDraft} errors={new Map(tried ? errors : [])} disabled={sent} />}
      {form.fields.length === 0 && <Fields fields={{}} />}
      {refusal && <p className="tool-error refusal">{refusal}</p>}
      {tried && errors.length > 0 && <p className="tool-error">Please look at the marked fields.</p>}
      <label className="always">
        <input type="checkbox" checked={always} disabled={sent} onChange={(event) => setAlways(event.target.checked)} />
        <span>
          Always allow <bdi className="tool-name">{part.name}</bdi> in this conversation
        </span>
      </label>
      <div className="decision">
        <button type="button" className="button primary" aria-disabled={sent} data-testid="approve" onClick={approve}>
          {words.approve}
        </button>
        <div className="denial">
          <label className="sr-only" htmlFor={`${id}r`}>
            Reason, told to the model (optional)
          </label>
          <input id={`${id}r`} type="text" placeholder="Reason (optional)" autoComplete="off" maxLength={500} disabled={sent} value={reason} onChange={(event) => setReason(event.target.value)} />
          <button type="button" className="button" aria-disabled={sent} data-testid="deny" onClick={deny}>
            {words.deny}
          </button>
        </div>
      </div>
    </div>
  );
}

function wordsFor({ again }, edited) {
  if (again) {
    return {
      question: "The server stopped while this ran: it may have had its effect already. Run it again?",
      approve: edited ? "Run again with changes" : "Run again",
      deny: "Do not run",
    };
  }
  return { question: "The model asks to run this.", approve: edited ? "Approve with changes" : "Approve", deny: "Deny" };
}

// One decision at a time (its buttons are not disabled: they would lose the focus); it may be made anew where it was not
// taken, or where nobody knows whether it was.
function useDecision(run, call) {
  const [sent, setSent] = useState(false);
  const [refusal, setRefusal] = useState("");
  useEffect(
    () =>
      store.onFrame((frame) => {
        if (frame.k === "undecided" && frame.m === run && frame.call === call) {
          setSent(false);
          setRefusal(frame.text);
        } else if (frame.k === "open") setSent(false);
      }),
    [run, call],
  );
  const decide = (decision) => {
    if (sent) return;
    setSent(true);
    setRefusal("");
    actions.decide(run, call, decision);
  };
  return { sent, refusal, decide };
}

// Where the form goes, the keyboard stays in its panel.
function useFocusKept() {
  const element = useRef(null);
  useLayoutEffect(() => {
    const { current } = element;
    return () => {
      if (current.contains(document.activeElement)) current.closest("details")?.querySelector("summary").focus({ preventScroll: true });
    };
  }, []);
  return element;
}

// Escape stops the answer, but not out of a field: what was typed there would be lost.
function keepEscape(event) {
  if (event.key === "Escape" && /^(TEXTAREA|INPUT|SELECT)$/.test(event.target.tagName)) event.preventDefault();
}
