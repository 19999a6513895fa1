// What the server sends to the page: one frame at a time, as the value of one state var.
//
// The Python side has the same types in `streamchat/protocols/page/frames.py`; `tests/integration/ui/test_frame_types.py`
// lets the compiler compare the two. Keys of the frames that come with every token are single letters.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export type Status = "streaming" | "waiting" | "finished" | "stopped" | "failed" | "interrupted";

export type ToolState =
  | "receiving"
  | "ready"
  | "awaiting-approval"
  | "running"
  | "done"
  | "error"
  | "timeout"
  | "denied"
  | "invalid"
  | "stopped"
  | "unknown";

export interface TextPart {
  type: "text";
  text: string;
}

export interface ReasoningPart {
  type: "reasoning";
  text: string;
}

export interface SourcePart {
  type: "source";
  url: string;
  title?: string;
}

export interface NoticePart {
  type: "notice";
  kind: string;
  text: string;
  data?: { [name: string]: Json };
}

export interface ImagePart {
  type: "image";
  media_type: string;
  /** Base64, of a picture that is in the message itself. */
  data?: string;
  name?: string;
  /** An uploaded picture. */
  file_id?: string;
  width?: number;
  height?: number;
}

export interface FilePart {
  type: "file";
  name: string;
  media_type?: string;
  /** An uploaded file. */
  file_id?: string;
  pages?: number;
}

/** A tool call; integers that JavaScript would round are strings. */
export interface ToolCallPart {
  type: "tool_call";
  id: string;
  name: string;
  state: ToolState;
  /** `null` until they parsed. */
  arguments: { [name: string]: Json } | null;
  /** While arguments arrive: the fields that parsed so far. */
  fields?: { [name: string]: Json };
  /** The last lines that the tool reported. */
  progress?: string[];
  result?: Json;
  error?: string;
  by_provider?: boolean;
  duration_ms?: number;
  /** It may have run before: the server stopped meanwhile. */
  again?: boolean;
  /** The MCP server that it belongs to. */
  server?: string;
  /** The JSON schema of its arguments, while it waits for approval. */
  schema?: { [name: string]: Json };
}

export type Part = TextPart | ReasoningPart | ToolCallPart | SourcePart | NoticePart | ImagePart | FilePart;

export interface ErrorInfo {
  message: string;
  kind: string;
  retryable?: boolean;
  /** Seconds. */
  retry_after?: number;
}

export interface Usage {
  input?: number;
  output?: number;
  cached?: number;
  reasoning?: number;
  written?: number;
  /** US dollars; missing if the model has no price. */
  cost_usd?: number;
  /** Paid for with a key that the person brought. */
  own_key?: boolean;
}

/** How fast an answer came, in milliseconds from the arrival of the question. */
export interface Timing {
  asked_ms?: number;
  connected_ms?: number;
  ttfb_ms?: number;
  ttft_ms?: number;
  ttlt_ms?: number;
  ttc_ms?: number;
  reasoning_ms: number;
  tools_ms: number;
  waited_ms: number;
  gap_p50_ms?: number;
  gap_p95_ms?: number;
  longest_gap_ms?: number;
  stalls: number;
  tokens: number;
  cached_tokens?: number;
  tokens_per_second?: number;
}

/** A whole message. */
export interface Message {
  id: string;
  role: "user" | "assistant" | "system" | "tool";
  status: Status;
  model: string;
  text: string;
  parts: Part[];
  stop_reason: string | null;
  /** The number of the last log entry that is in it. */
  seq: number;
  error?: ErrorInfo;
  usage?: Usage;
  timing?: Timing;
  /** Why the answer is not simply complete, for people. */
  why?: string;
  /** What can be done about it. */
  offers?: ("continue" | "retry")[];
  /** The ids of all versions of it, its own included, oldest first. */
  versions?: string[];
  feedback?: Feedback;
}

/** What the reader thinks of an answer. */
export interface Feedback {
  rating: "up" | "down";
  reason?: string;
}

/** What the reader thinks of an answer, after a change; `null`: nothing any more. */
export interface FeedbackFrame {
  k: "feedback";
  m: string;
  feedback: Feedback | null;
  n: number;
}

/**
 * A piece of text: the only frame without `k`, because it comes with every token. One that continues the piece before
 * has no number and no place.
 */
export interface PieceFrame {
  k?: undefined;
  /** Message id. */
  m: string;
  /** The text. */
  t: string;
  /** Number of the log entry. */
  s?: number;
  /** Index of the part. */
  p?: number;
  /** Offset in the part, in UTF-16 code units. */
  o?: number;
  /** Type of the part; absent for text. */
  y?: "reasoning";
  /** CRC-32 of the answer's text so far, as UTF-8. */
  c?: number;
}

/** The conversation as it is now; every other frame about it builds on this one. */
export interface OpenFrame {
  k: "open";
  /** A number that no other "open" has. */
  g: number;
  conversation: string | null;
  title: string;
  messages: Message[];
  /** Whether there are messages before these. */
  earlier: boolean;
  /** Whether the address names no conversation. */
  missing: boolean;
  error?: string;
  /** The id of the model that answers next. */
  model?: string;
  settings?: Settings;
  /** Whether it is a read-only snapshot. */
  shared?: boolean;
  /** Whether this tab has begun it, and its address follows. */
  begun?: boolean;
  /** The last messages, if they are answers to one question that stand side by side. */
  compared?: string[];
}

/** What the next answer is generated with. What is left out is the model's default. */
export interface Settings {
  system?: string;
  temperature?: number;
  max_tokens?: number;
  reasoning_effort?: string;
  /** The vendor's own. */
  web_search?: boolean;
}

/** The conversation without its messages, after a change. */
export interface AboutFrame {
  k: "about";
  title: string;
  model: string;
  settings: Settings;
  n: number;
  /** As in "open". */
  compared?: string[];
}

/** Messages that are new, or that replace what is there of them. */
export interface MessagesFrame {
  k: "messages";
  messages: Message[];
  n?: number;
}

export interface DropFrame {
  k: "drop";
  m: string;
}

/** The messages in their order, after a change in the middle. Those that are not there follow. */
export interface OrderFrame {
  k: "order";
  ids: string[];
  earlier: boolean;
  n: number;
  /** New lists of those messages whose list changed. */
  versions?: { [id: string]: string[] };
}

export interface EarlierFrame {
  k: "earlier";
  messages: Message[];
  earlier: boolean;
  n: number;
}

/** A whole part. */
export interface PartFrame {
  k: "part";
  m: string;
  s: number;
  p: number;
  part: Part;
  status?: Status;
}

/** Changed fields of tool calls by the index of their part; `null` removes a field. */
export type ToolChanges = { [index: string]: { [field: string]: Json } };

export interface PatchFrame {
  k: "patch";
  m: string;
  s: number;
  set: ToolChanges;
  status?: Status;
}

export interface EndFrame {
  k: "end";
  m: string;
  s: number;
  status: Status;
  stop_reason: string | null;
  /** Length of the answer's text, in UTF-16 code units. */
  length: number;
  c: number;
  set?: ToolChanges;
  error?: ErrorInfo;
  usage?: Usage;
  timing?: Timing;
  why?: string;
  offers?: ("continue" | "retry")[];
}

/** A message was accepted. */
export interface SentFrame {
  k: "sent";
  client_id: string;
  n: number;
}

/** An error message for beside the composer; with `client_id`, that message was refused. */
export interface SayFrame {
  k: "say";
  text: string;
  n: number;
  client_id?: string;
  /** The session has ended: the page leads to the sign-in. */
  sign_in?: boolean;
}

/** A decision about a tool call was not accepted. */
export interface UndecidedFrame {
  k: "undecided";
  m: string;
  call: string;
  text: string;
  n: number;
  /** The arguments that do not fit, from the outside in. */
  paths?: string[][];
}

export interface ToolRow {
  name: string;
  description: string;
  /** The name of its MCP server, or "". */
  server: string;
  /** Whether it asks for approval. */
  asks: boolean;
  on: boolean;
}

export interface ServerRow {
  name: string;
  state: string;
  sentence: string;
  on: boolean;
}

/** The tools of the conversation. */
export interface ToolsFrame {
  k: "tools";
  conversation: string | null;
  servers: ServerRow[];
  tools: ToolRow[];
  n: number;
}

/** Frames that change the transcript. */
export type TranscriptFrame =
  | PieceFrame
  | OpenFrame
  | MessagesFrame
  | DropFrame
  | OrderFrame
  | AboutFrame
  | EarlierFrame
  | PartFrame
  | PatchFrame
  | FeedbackFrame
  | EndFrame;

export type Frame = TranscriptFrame | SentFrame | SayFrame | UndecidedFrame | ToolsFrame;

/** A row of the list of conversations. */
export interface ConversationRow {
  id: string;
  title: string;
  answering: boolean;
  /** Whether an answer waits for an approval. */
  waiting?: boolean;
  /** ISO 8601. */
  when: string;
  pinned?: boolean;
  /** Of the page after it, in the last row. */
  cursor?: string;
}

/** What the list has differently from the rows that came whole: new rows and others, and the ids of those that are gone. */
export interface ListChanges {
  rows: ConversationRow[];
  gone: string[];
}

/** A model that is offered. */
export interface Model {
  id: string;
  label: string;
  /** Why it cannot be used now, or "". */
  unavailable: string;
  note: string;
  /** Whether what is sent to it leaves this machine. */
  remote?: boolean;
  /** Whether its vendor searches the web for it. */
  web_search?: boolean;
  /** Whether it sees pictures. */
  images?: boolean;
}

/** Who is signed in. */
export interface Person {
  name: string;
  /** Whether this server can end that. */
  sign_out: boolean;
}
