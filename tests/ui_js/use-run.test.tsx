import { afterEach, expect, test } from "bun:test";
// @ts-expect-error: plain JavaScript without declarations
import { Streamchat } from "../../assets/streamchat-client.js";
// @ts-expect-error: plain JavaScript without declarations
import { useRun } from "../../assets/use-run.js";
import { fireEvent, renderChat, screen, waitFor } from "./dom";

const original = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = original;
});

const STREAM = [
  'id: 1\nevent: text-delta\ndata: {"text": "Hello "}\n\n',
  'id: 2\nevent: text-delta\ndata: {"text": "you"}\n\n',
  'id: 3\nevent: finished\ndata: {"reason": "stop"}\n\n',
].join("");

// A server that answers "Hello you" whoever has the key.
function serve() {
  const requests: string[] = [];
  globalThis.fetch = (async (address: string, { method = "GET", headers }: RequestInit = {}) => {
    requests.push(`${method} ${address}`);
    if ((headers as Record<string, string>).Authorization !== "Bearer key")
      return Response.json({ error: { message: "Sign in first.", kind: "unauthorized" } }, { status: 401 });
    return method === "POST"
      ? Response.json({ run_id: "a", conversation_id: "A" }, { status: 201 })
      : new Response(STREAM);
  }) as typeof fetch;
  return requests;
}

function Answer({ server }: { server: unknown }) {
  const { text, status, error, ask } = useRun(server);
  return (
    <button type="button" onClick={() => ask("Hi")}>
      {[status, text, error].filter(Boolean).join(": ")}
    </button>
  );
}

test("the hook takes an address, or a client with headers", async () => {
  const requests = serve();
  const { replace } = renderChat(<Answer server="http://server" />);
  const button = screen.getByRole("button");
  fireEvent.click(button);
  await waitFor(() => expect(button.textContent).toBe("failed: Sign in first."));
  replace(<Answer server={new Streamchat({ url: "http://server", headers: { Authorization: "Bearer key" } })} />);
  fireEvent.click(screen.getByRole("button"));
  await waitFor(() => expect(screen.getByRole("button").textContent).toBe("finished: Hello you"));
  expect(requests).toEqual([
    "POST http://server/api/runs",
    "POST http://server/api/runs",
    "GET http://server/api/runs/a/events?after=0",
  ]);
});
