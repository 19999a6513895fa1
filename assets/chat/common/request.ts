// Calls of the server's HTTP API from the page.

import { basePath } from "./base-path";
import { strings } from "./strings";

export class RequestError extends Error {}

/** The response as JSON. Throws `RequestError` with a message for people. */
export async function request<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
  const sends = method === "POST" || method === "PATCH";
  let response: Response;
  try {
    response = await fetch(basePath() + path, {
      method,
      ...(sends && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}) }),
    });
  } catch {
    throw new RequestError(strings().common.unreachable);
  }
  const data = await response.json().catch(() => null);
  if (!response.ok) throw new RequestError(messageIn(data) ?? strings().common.unreachable);
  return data as Answer;
}

/** The message of an error response, in the language of the page. */
export function messageIn(answer: unknown): string | undefined {
  const { message } = (answer as { error?: { message?: string } } | null)?.error ?? {};
  return message && strings().common.told(message);
}

/** The path of a conversation's call. */
export function conversationPath(id: string, call = ""): string {
  return `/api/conversations/${encodeURIComponent(id)}${call}`;
}

/** The path of a run. */
export function runPath(id: string): string {
  return `/api/runs/${encodeURIComponent(id)}`;
}

/** The path of a message's call. */
export function messagePath(id: string, call = ""): string {
  return `/api/messages/${encodeURIComponent(id)}${call}`;
}
