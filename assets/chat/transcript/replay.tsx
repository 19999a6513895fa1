// An answer played again in its details: as fast as it came, faster, slower, or event by event.

import "./replay.css";

import { GitBranch, Pause, Play, RotateCcw, SkipForward, TextCursor } from "lucide-react";
import { useEffect, useReducer, useRef, useState } from "react";
import { useChat } from "../chat";
import { messagePath, RequestError, request } from "../common/request";
import { useStrings } from "../common/strings";
import { elementOf } from "./element-of";
import { Answer } from "./message";
import { isShared, modelFor, sayBusy, useMeta } from "./message-actions";
import { Playback, type Recording } from "./playback";

const SPEEDS = [0.25, 0.5, 1, 2, 5, 20];

export default function Replay({ id }: { id: string }) {
  const [playback, setPlayback] = useState<Playback | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let current = true;
    request<Recording>("GET", `/api/runs/${encodeURIComponent(id)}/recording`).then(
      (recording) => current && setPlayback(new Playback(recording, `replay-${id}`)),
      (error) => current && setProblem(error instanceof RequestError ? error.message : String(error)),
    );
    return () => {
      current = false;
    };
  }, [id]);
  if (problem)
    return (
      <p className="notice" data-testid="replay-problem">
        {problem}
      </p>
    );
  return playback && <Player playback={playback} id={id} />;
}

function Player({ playback, id }: { playback: Playback; id: string }) {
  const t = useStrings().transcript;
  const chat = useChat();
  const [speed, setSpeed] = useState(1);
  const [playing, setPlaying] = useState(true);
  const [, render] = useReducer((count: number) => count + 1, 0);
  const last = useRef(0);
  useEffect(() => {
    if (!playing) return;
    let frame = 0;
    last.current = performance.now();
    const tick = (now: number) => {
      playback.advance(Math.max(0, now - last.current) * speed);
      last.current = now;
      render();
      if (playback.ended) setPlaying(false);
      else frame = requestAnimationFrame(tick);
    };
    frame = requestAnimationFrame(tick);
    return () => cancelAnimationFrame(frame);
  }, [playing, playback, speed]);
  const go = (position: number) => {
    setPlaying(false);
    playback.seek(position);
    render();
  };
  const toggle = () => {
    if (!playing && playback.ended) playback.seek(0);
    setPlaying(!playing);
  };
  const { position, length, ended } = playback;
  return (
    <section
      className="replay"
      aria-label={t.replay}
      data-testid="replay-panel"
      data-position={position}
      data-length={length}
    >
      <div className="replay-controls">
        <button type="button" className="quiet" data-testid="replay-play" onClick={toggle}>
          {playing ? <Pause size={14} /> : <Play size={14} />}
          {playing ? t.pause : t.play}
        </button>
        <button
          type="button"
          className="quiet"
          data-testid="replay-step"
          disabled={ended}
          onClick={() => go(position + 1)}
        >
          <SkipForward size={14} />
          {t.step}
        </button>
        <button type="button" className="quiet" data-testid="replay-restart" onClick={() => go(0)}>
          <RotateCcw size={14} />
          {t.toStart}
        </button>
        <button
          type="button"
          className="quiet"
          data-testid="replay-selection"
          title={t.toSelectionHint}
          // It would take the selection away.
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => {
            const position = playback.positionAfter(readUpToSelection(id));
            if (position) go(position);
            else chat.store.feed({ k: "say", text: t.toSelectionHint, n: Date.now() });
          }}
        >
          <TextCursor size={14} />
          {t.toSelection}
        </button>
        <ContinueHere
          id={id}
          position={position}
          disabled={position === 0 || ended}
          onClick={() => setPlaying(false)}
        />
        <label className="quiet">
          {t.speed}
          <select data-testid="replay-speed" value={speed} onChange={(event) => setSpeed(Number(event.target.value))}>
            {SPEEDS.map((value) => (
              <option key={value} value={value}>
                {`${value}×`}
              </option>
            ))}
          </select>
        </label>
        <input
          type="range"
          data-testid="replay-position"
          aria-label={t.event}
          aria-valuetext={t.eventOf(position, length)}
          min={0}
          max={length}
          value={position}
          onChange={(event) => go(Number(event.target.value))}
        />
      </div>
      <p className="replay-place">
        {`${t.clock(playback.clock, playback.duration)} · ${t.eventOf(position, length)}`}
        {playback.current && `: ${playback.current.type}`}
      </p>
      <div className="replay-answer">
        <Answer view={playback.view()} eager />
      </div>
    </section>
  );
}

// The text of an answer up to the end of what is selected in it; "" if nothing is.
function readUpToSelection(id: string): string {
  const selection = getSelection();
  if (!selection?.rangeCount || selection.isCollapsed) return "";
  const { endContainer, endOffset } = selection.getRangeAt(0);
  let text = "";
  for (const answer of elementOf(id)?.querySelectorAll(":scope > .answer") ?? []) {
    const range = document.createRange();
    range.selectNodeContents(answer);
    if (range.isPointInRange(endContainer, endOffset)) {
      range.setEnd(endContainer, endOffset);
      return text + range;
    }
    text += range;
  }
  return "";
}

interface ContinueHereProps {
  id: string;
  position: number;
  disabled: boolean;
  onClick: () => void;
}

// Another answer that begins as this one did up to the event that is shown, and goes on from there.
function ContinueHere({ id, position, disabled, onClick }: ContinueHereProps) {
  const t = useStrings().transcript;
  const chat = useChat();
  const shared = useMeta(isShared);
  const view = chat.store.message(id);
  if (shared || !view) return null;
  const go = () => {
    onClick();
    if (sayBusy(chat)) return;
    const clientId = chat.requestId(`fork ${position} ${view.versions?.length ?? 1}`, id);
    const body = { model: modelFor(chat, view), after: position, client_message_id: clientId };
    chat.scroll.stick();
    void chat.attempt(() => request("POST", messagePath(id, "/regenerate"), body));
  };
  return (
    <button type="button" className="quiet" data-testid="replay-continue" disabled={disabled} onClick={go}>
      <GitBranch size={14} />
      {t.continueHere}
    </button>
  );
}
