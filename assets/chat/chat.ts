// What the parts of the page share: one transcript, its painting and scrolling, the chosen model, the way to send.
//
// Reflex mounts the sidebar, the transcript and the composer separately, so they meet in a context whose default value
// is the page's chat. Tests provide one of their own.

import { createContext, useContext } from "react";
import { newId } from "./common/new-id";
import { RequestError } from "./common/request";
import { SharedValue } from "./common/shared-value";
import type { Preset } from "./composer/presets";
import type { ConversationRow, Model, Settings } from "./store/frames";
import { Painter } from "./store/painter";
import { TranscriptStore } from "./store/transcript-store";
import { StickToBottom } from "./transcript/stick-to-bottom";

export type Submit = (text: string, model?: string) => void;

export type Overlay = "palette" | "shortcuts" | "settings";

/** What was done, and how to undo it. */
export interface Undo {
  text: string;
  action: () => Promise<unknown>;
}

/** An answer is ready that was not looked at yet, or one waits for an approval. */
export type News = "" | "ready" | "waiting";

/** A block of code that makes something to look at. */
export interface Previewed {
  /** In lower case: html, svg, xml or markdown. */
  language: string;
  code: string;
}

export interface Chat {
  store: TranscriptStore;
  painter: Painter;
  scroll: StickToBottom;
  /** The id of the model in the picker, or "". */
  model: SharedValue<string>;
  models: SharedValue<Model[]>;
  /** The settings of a new chat. */
  settings: SharedValue<Settings>;
  /** Tools and servers that are disabled in a new chat. */
  toolsOff: SharedValue<string[]>;
  presets: SharedValue<Preset[]>;
  /** The ids of the models that answer the next question beside the one in the picker. */
  compare: SharedValue<string[]>;
  /** Whether the chat that is shown, or the next one, is never stored. */
  temporary: SharedValue<boolean>;
  /** The visit in which a question was sent last: what begins with it is shown in no other one of the empty page. */
  askedIn: SharedValue<string>;
  /** The composer's way to send; `null` while there is none. */
  submit: SharedValue<Submit | null>;
  /** The conversations of the list, as far as they are known here. */
  rows: SharedValue<ConversationRow[]>;
  /** What is searched for in all conversations. */
  query: SharedValue<string>;
  /** What is open over the page. */
  overlay: SharedValue<Overlay | null>;
  /** Makes a model that of the conversation, or of the next chat; `null` while there is no picker. */
  chooseModel: SharedValue<((id: string) => void) | null>;
  undo: SharedValue<Undo | null>;
  /** What the tab's title tells of the conversation. */
  news: SharedValue<News>;
  /** When a call that was waiting here was decided elsewhere: ms of the page's clock. */
  decidedElsewhere: SharedValue<number>;
  /** Waits for a call of the server; what it refuses is shown beside the composer. Returns whether it succeeded. */
  attempt: (call: () => Promise<unknown>) => Promise<boolean>;
  /** The code that is shown beside the conversation as what it makes. */
  preview: SharedValue<Previewed | null>;
  /** Whether the sidebar is shown on a narrow screen. */
  sidebarOpen: SharedValue<boolean>;
  /**
   * The client id of an action on a message: the same action twice is one request, until an answer has ended or the
   * message is shown no more.
   */
  requestId: (action: string, messageId: string) => string;
}

export function createChat(): Chat {
  const store = new TranscriptStore();
  const painter = new Painter(() => store.flush());
  store.onDirty(painter.request);
  // A hidden tab is not painted, but what waits for the end of an answer goes on.
  store.onFrame(({ k }) => (k === "open" || k === "end") && document.hidden && store.flush());
  // By the message: the ids of the actions.
  const requests = new Map<string, Map<string, string>>();
  // What was asked for has been done. The same message may come back, as after its newer version is deleted.
  store.onFrame(({ k }) => k === "end" && requests.clear());
  store.subscribeMeta(() => {
    const { ids } = store.meta();
    for (const messageId of requests.keys()) if (!ids.includes(messageId)) requests.delete(messageId);
  });
  return {
    store,
    painter,
    scroll: new StickToBottom(),
    model: new SharedValue(""),
    models: new SharedValue<Model[]>([]),
    settings: new SharedValue<Settings>({}),
    toolsOff: new SharedValue<string[]>([]),
    presets: new SharedValue<Preset[]>([]),
    compare: new SharedValue<string[]>([]),
    temporary: new SharedValue(false),
    askedIn: new SharedValue(""),
    submit: new SharedValue<Submit | null>(null),
    rows: new SharedValue<ConversationRow[]>([]),
    query: new SharedValue(""),
    overlay: new SharedValue<Overlay | null>(null),
    chooseModel: new SharedValue<((id: string) => void) | null>(null),
    undo: new SharedValue<Undo | null>(null),
    news: new SharedValue<News>(""),
    decidedElsewhere: new SharedValue(Number.NEGATIVE_INFINITY),
    attempt: async (call) => {
      try {
        await call();
        return true;
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        store.feed({ k: "say", text: error.message, n: Date.now() });
        return false;
      }
    },
    preview: new SharedValue<Previewed | null>(null),
    sidebarOpen: new SharedValue(false),
    requestId: (action, messageId) => {
      const ids = requests.get(messageId) ?? new Map<string, string>();
      requests.set(messageId, ids);
      const id = ids.get(action) ?? newId();
      ids.set(action, id);
      return id;
    },
  };
}

const ChatContext = createContext(createChat());

export const ChatProvider = ChatContext.Provider;

export function useChat(): Chat {
  return useContext(ChatContext);
}
