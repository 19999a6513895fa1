// What the reader thinks of an answer: a thumb, and why.

import { ThumbsDown, ThumbsUp } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useChat } from "../chat";
import { useFocusBack } from "../common/focus-back";
import { messagePath, request } from "../common/request";
import { useStrings } from "../common/strings";
import type { Feedback } from "../store/frames";
import type { MessageView } from "../store/message-parts";

const RATINGS = [
  ["up", ThumbsUp],
  ["down", ThumbsDown],
] as const;
const MAX_REASON = 2000;

export function FeedbackButtons({ view: { id, feedback } }: { view: MessageView }) {
  const t = useStrings().transcript;
  const { attempt } = useChat();
  // The rating whose reason is asked for: what the server has may still be the one before.
  const [asking, setAsking] = useState<Feedback["rating"] | null>(null);
  const buttons = useRef<HTMLSpanElement>(null);
  useFocusBack(asking !== null, () => buttons.current?.querySelector<HTMLElement>("[aria-pressed=true]"));
  const path = messagePath(id, "/feedback");
  const store = (next: Feedback | null) =>
    attempt(() => (next ? request("POST", path, next) : request("DELETE", path)));
  const press = async (rating: Feedback["rating"]) => {
    const again = feedback?.rating === rating;
    setAsking(again ? null : rating);
    await store(again ? null : { rating });
  };
  const explain = (reason: string) => {
    setAsking(null);
    if (asking && reason !== initial) void store({ rating: asking, reason });
  };
  const initial = (feedback?.rating === asking && feedback?.reason) || "";
  return (
    <>
      <span className="feedback" ref={buttons}>
        {RATINGS.map(([rating, Icon]) => (
          <button
            key={rating}
            type="button"
            className="quiet"
            data-testid={`feedback-${rating}`}
            aria-label={t.rate[rating]}
            title={feedback?.reason || t.rate[rating]}
            aria-pressed={feedback?.rating === rating}
            onClick={() => void press(rating)}
          >
            <Icon size={14} />
          </button>
        ))}
      </span>
      {asking && feedback && <Reason initial={initial} onDone={explain} />}
    </>
  );
}

function Reason({ initial, onDone }: { initial: string; onDone: (reason: string) => void }) {
  const t = useStrings().transcript;
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus({ preventScroll: true }), []);
  const done = () => onDone(field.current?.value.trim() ?? "");
  const pressed = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter") done();
    if (event.key !== "Escape") return;
    // It does not also stop the answer.
    event.preventDefault();
    onDone(initial);
  };
  return (
    <span className="feedback-reason">
      <input
        ref={field}
        className="field"
        data-testid="feedback-reason"
        aria-label={t.rateReason}
        placeholder={t.rateReason}
        maxLength={MAX_REASON}
        defaultValue={initial}
        dir="auto"
        onKeyDown={pressed}
      />
      <button type="button" className="button" data-testid="feedback-send" onClick={done}>
        {t.send}
      </button>
    </span>
  );
}
