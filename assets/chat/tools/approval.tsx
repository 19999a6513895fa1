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
import { visit } from "../common/storage";
import { strings, useStrings } from "../common/strings";
import type { Json, ToolCallPart } from "../store/frames";
import { type Decision, useActions } from "../transcript/actions";
import { Fields } from "./fields";
import { Inputs } from "./form-inputs";
import { draftOf, formOf, type Group, type GroupDraft, readDraft, same } from "./schema-form";
import { clip, formatCell, isScalar, type JsonObject } from "./values";

const NONE: [string, string][] = [];
const SHOWN_ARGUMENTS = 4; // of the summary beside the buttons
const SHOWN_CHARACTERS = 80; // of each of them

interface Props {
  part: ToolCallPart;
  runId: string;
}

/** What is typed stays while the call is the same; another schema (its server came back) makes another form. */
export function Approval({ part, runId }: Props) {
  const { schema, arguments: args } = part;
  const call = useMemo(() => JSON.stringify([schema, args]), [schema, args]);
  return <ApprovalForm key={call} call={call} part={part} runId={runId} />;
}

function ApprovalForm({ call, part, runId }: Props & { call: string }) {
  const t = useStrings().tools;
  const form = useMemo(() => formOf(part.schema, part.arguments ?? {}), [part.schema, part.arguments]);
  const { draft, setDraft, reason, setReason } = useEdits(form, call, runId, part.id);
  const [always, setAlways] = useState(false);
  const [tried, setTried] = useState(false);
  const { sent, refusal, refused, decide } = useDecision(runId, part.id);
  useDecidedElsewhere(sent);
  const place = usePlace(runId, part.id);
  const element = useFocusKeeper();
  const id = useId();
  // The first field that is wrong, once it is marked.
  const refocus = useRef(false);
  useEffect(() => {
    if (refused.length) refocus.current = true;
  }, [refused]);
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
    <div className="approval" role="group" aria-label={t.approve(part.name)} ref={element} onKeyDown={keepEscape}>
      <p className="question-to-you">
        {labels.question}
        {place && <span className="kind"> {place}</span>}
      </p>
      {form.fields.length > 0 && (
        <Inputs
          group={form}
          draft={draft}
          onChange={setDraft}
          errors={new Map([...refused, ...(tried ? errors : [])])}
          disabled={sent}
        />
      )}
      {form.fields.length === 0 && <Fields fields={{}} />}
      {refusal && <p className="tool-error refusal">{refusal}</p>}
      {tried && errors.length > 0 && <p className="tool-error">{t.checkFields}</p>}
      <label className="always">
        <input type="checkbox" checked={always} disabled={sent} onChange={(event) => setAlways(event.target.checked)} />
        <span>
          {t.alwaysAllow} <bdi className="tool-name">{part.name}</bdi> {t.inConversation}
        </span>
      </label>
      <div className="decision">
        <Summary form={form} name={part.name} value={value as JsonObject | undefined} />
        <button type="button" className="button primary" aria-disabled={sent} data-testid="approve" onClick={approve}>
          {labels.approve}
        </button>
        <div className="denial">
          <label className="sr-only" htmlFor={`${id}r`}>
            {t.reason}
          </label>
          <input
            id={`${id}r`}
            type="text"
            placeholder={t.reasonHint}
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

// What is decided about stays beside the buttons, however long the form is.
function Summary({ form, name, value }: { form: Group; name: string; value: JsonObject | undefined }) {
  const used = form.fields
    .map(({ key, label, fallback }) => [label, value && Object.hasOwn(value, key) ? value[key] : fallback] as const)
    .filter(([, used]) => used !== undefined && used !== null && used !== "");
  const shown = used.flatMap(([label, value]) => {
    const text = inOneLine(value as Json);
    return text === null ? [] : [[label, text] as const];
  });
  const left = used.length - Math.min(shown.length, SHOWN_ARGUMENTS);
  return (
    <p className="decided-about" data-testid="decided-about">
      <bdi className="tool-name">{clip(name, 80)}</bdi>
      {shown.slice(0, SHOWN_ARGUMENTS).map(([label, text]) => (
        <span key={label}>
          <bdi>{label}</bdi>
          {": "}
          <bdi>{clip(text, SHOWN_CHARACTERS)}</bdi>
        </span>
      ))}
      {left > 0 && <span>{strings().tools.shownMore(left)}</span>}
    </p>
  );
}

// A value as words; null if it has too many parts for a line.
function inOneLine(value: Json): string | null {
  if (Array.isArray(value)) return value.every(isScalar) ? value.map(formatCell).join(", ") : null;
  if (typeof value === "boolean") return value ? strings().tools.yesWord : strings().tools.noWord;
  return isScalar(value) ? formatCell(value) : null;
}

interface Edits {
  /** The schema and the arguments that they are edits of. */
  call: string;
  draft: GroupDraft;
  reason: string;
}

// What is typed into the form. It survives a reload of the tab, until the call is decided.
function useEdits(form: Group, call: string, runId: string, callId: string) {
  const { store, temporary } = useChat();
  const name = `approval.${runId}.${callId}`;
  const [edits, setEdits] = useState<Edits>(() => {
    const kept = visit.get<Edits>(name);
    return kept?.call === call ? kept : { call, draft: draftOf(form) as GroupDraft, reason: "" };
  });
  const change = (changes: Partial<Edits>) => {
    const changed = { ...edits, ...changes };
    setEdits(changed);
    // Of a chat that is never stored nothing is.
    if (!temporary.get()) visit.set(name, changed);
  };
  useEffect(
    () => () => {
      const parts = store.message(runId)?.parts ?? [];
      const part = parts.find((part) => part.type === "tool_call" && part.id === callId);
      if (part?.type === "tool_call" && part.state !== "awaiting-approval") visit.set(name, null);
    },
    [store, runId, callId, name],
  );
  const { draft, reason } = edits;
  return {
    draft,
    setDraft: (draft: GroupDraft) => change({ draft }),
    reason,
    setReason: (reason: string) => change({ reason }),
  };
}

// A form that goes without a decision here was answered elsewhere.
function useDecidedElsewhere(sent: boolean): void {
  const { decidedElsewhere } = useChat();
  const decidedHere = useRef(sent);
  decidedHere.current = sent;
  useEffect(
    () => () => {
      if (!decidedHere.current) decidedElsewhere.set(performance.now());
    },
    [decidedElsewhere],
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
      return waiting.length > 1 && index >= 0 ? strings().tools.placeOf(index + 1, waiting.length) : "";
    };
    return [(listener: () => void) => store.subscribe(runId, listener), place] as const;
  }, [store, runId, callId]);
  return useSyncExternalStore(subscribe, place, place);
}

function labelsFor({ again }: ToolCallPart, edited: boolean) {
  const t = strings().tools;
  if (again) {
    return {
      question: t.questionAgain,
      approve: edited ? t.runAgainChanged : t.runAgain,
      deny: t.doNotRun,
    };
  }
  return {
    question: t.question,
    approve: edited ? t.approveChanged : t.approveIt,
    deny: t.deny,
  };
}

// One decision at a time (its buttons are not disabled: they would lose the focus). It may be made again if it was
// refused, or after a reconnect, when nobody knows whether it arrived.
function useDecision(runId: string, callId: string) {
  const { store } = useChat();
  const actions = useActions();
  const [sent, setSent] = useState(false);
  const [refusal, setRefusal] = useState("");
  const [refused, setRefused] = useState(NONE);
  useEffect(
    () =>
      store.onFrame((frame) => {
        if (frame.k === "undecided" && frame.m === runId && frame.call === callId) {
          setSent(false);
          setRefusal(strings().common.told(frame.text));
          setRefused((frame.paths ?? []).map((path) => [`/${path.join("/")}`, strings().tools.notAccepted]));
        } else if (frame.k === "open") setSent(false);
      }),
    [store, runId, callId],
  );
  const decide = (decision: Decision) => {
    if (sent) return;
    setSent(true);
    setRefusal("");
    setRefused(NONE);
    actions.decide(runId, callId, decision);
  };
  return { sent, refusal, refused, decide };
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
