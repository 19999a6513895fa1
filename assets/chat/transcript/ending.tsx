// Below an answer that ended: why it is not complete, what can be done, and details.

import { Suspense, useEffect, useState } from "react";
import { useChat } from "../chat";
import { basePath } from "../common/base-path";
import { CopyButton } from "../common/copy-button";
import { lazyPart } from "../common/lazy-part";
import { dollars } from "../common/money";
import { messagePath, request } from "../common/request";
import { strings, useStrings } from "../common/strings";
import { type MessageView, textOf } from "../store/message-parts";
import { useActions } from "./actions";
import { FeedbackButtons } from "./feedback";
import { Latency, Timeline } from "./latency";
import { DeleteButton, isShared, More, modelFor, Regenerate, useMeta, Versions } from "./message-actions";
import { ReadAloud } from "./read-aloud";

// Loaded when somebody looks at an answer again.
const Replay = lazyPart(() => import("./replay"));

interface Props {
  view: MessageView;
  /** Only the last answer of a conversation can be continued or retried. */
  last: boolean;
}

export function Ending({ view, last }: Props) {
  const { transcript: t, common } = useStrings();
  const { store } = useChat();
  const shared = useMeta(isShared);
  const { status, offers = [] } = view;
  const why = view.why && common.told(view.why);
  const hasText = !!textOf(view).trim();
  const broken = status === "failed" || status === "interrupted";
  return (
    <>
      {why && broken && (
        <p className="error" data-testid="error" role="group">
          {why}
        </p>
      )}
      {why && !broken && <p className="notice">{why}</p>}
      <footer className="ending">
        {last && !shared && offers.includes("continue") && (
          <AgainButton action="continue" view={view} label={t.continue} />
        )}
        {last && !shared && offers.includes("retry") && <AgainButton action="retry" view={view} label={t.retry} />}
        <Versions view={view} />
        {hasText && (
          <CopyButton text={() => textOf(store.message(view.id) ?? view)} label={t.copyAnswer} testId="copy" />
        )}
        {hasText && <ReadAloud id={view.id} />}
        {!shared && (
          <>
            {!(last && offers.includes("retry")) && <Regenerate view={view} />}
            <DeleteButton view={view} />
            {hasText && <FeedbackButtons view={view} />}
            <More view={view} />
          </>
        )}
        <Latency timing={view.timing} />
        <Details view={view} />
      </footer>
    </>
  );
}

interface AgainProps {
  action: "continue" | "retry";
  view: MessageView;
  label: string;
}

function AgainButton({ action, view, label }: AgainProps) {
  const chat = useChat();
  const actions = useActions();
  const click = () => actions[action](view.id, chat.requestId(action, view.id), modelFor(chat, view));
  return (
    <button type="button" className="button" data-testid={action} onClick={click}>
      {label}
    </button>
  );
}

// The model; behind it, whether every character of the answer is on the page, and in how many pieces it came.
function Details({ view }: { view: MessageView }) {
  const [open, setOpen] = useState(false);
  return (
    <details className="model" data-testid="details" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{view.model || strings().transcript.details}</summary>
      {open && <DetailLines view={view} />}
    </details>
  );
}

interface Times {
  created_at?: string;
  updated_at?: string;
}

// When the answer began and ended, in the reader's time zone.
function useTimes(id: string): string | null {
  const [times, setTimes] = useState<Times>({});
  useEffect(() => {
    request<Times>("GET", messagePath(id)).then(setTimes, () => {});
  }, [id]);
  const [from, to] = [times.created_at, times.updated_at].map((time) => new Date(time ?? Number.NaN));
  if (Number.isNaN(from.getTime()) || Number.isNaN(to.getTime())) return null;
  return strings().transcript.fromTo(from, to);
}

function DetailLines({ view: { id, usage, timing, verified, tally } }: { view: MessageView }) {
  const {
    transcript: t,
    common: { milliseconds },
  } = useStrings();
  const shared = useMeta(isShared);
  const times = useTimes(id);
  const [replaying, setReplaying] = useState(false);
  const lines: string[] = [];
  if (verified) lines.push(t.verified);
  if (tally.lags.length) {
    const lags = tally.lags.toSorted((a, b) => a - b);
    const [p50, p95] = [0.5, 0.95].map((share) => milliseconds(lags[Math.floor(share * (lags.length - 1))]));
    lines.push(t.lag(p50, p95));
  }
  if (usage?.input != null) lines.push(t.tokensRead(usage.input));
  if (usage?.output != null) lines.push(t.tokensWritten(usage.output));
  if (usage?.cost_usd != null) lines.push(usage.cost_usd ? t.cost(dollars(usage.cost_usd)) : t.noCost);
  if (usage?.own_key) lines.push(t.ownKey);
  if (!lines.length) lines.push(t.stored);
  if (times) lines.push(times);
  return (
    <>
      <ul>
        {lines.map((line) => (
          <li key={line}>{line}</li>
        ))}
        {!shared && (
          <li>
            {t.run} <code data-testid="run-id">{id}</code>
          </li>
        )}
        {!shared && (
          <li>
            <a href={`${basePath()}/api/runs/${id}/events?after=0`} download={`${id}.txt`}>
              {t.events}
            </a>
          </li>
        )}
        {!shared && (
          <li>
            <a href={`${basePath()}/api/runs/${id}/recording`} download data-testid="recording">
              {t.recording}
            </a>
          </li>
        )}
      </ul>
      {timing && <Timeline timing={timing} />}
      {!shared && (
        <div className="detail-links">
          <button
            type="button"
            className="quiet"
            data-testid="replay"
            aria-expanded={replaying}
            onClick={() => setReplaying(!replaying)}
          >
            {replaying ? t.endReplay : t.replay}
          </button>
          <a className="quiet" href={`${basePath()}/latency`}>
            {t.allLatency}
          </a>
        </div>
      )}
      {replaying && (
        <Suspense fallback={null}>
          <Replay id={id} />
        </Suspense>
      )}
    </>
  );
}
