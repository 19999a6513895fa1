// The AI SDK's minimal app: `streamText` behind `useChat`, as its documentation shows them, with Streamdown for Markdown.
// PORT, OPENAI_BASE_URL and OPENAI_API_KEY come from the environment.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { convertToModelMessages, streamText, type UIMessage } from "ai";

const provider = createOpenAICompatible({
  name: "bench",
  baseURL: process.env.OPENAI_BASE_URL ?? "",
  apiKey: process.env.OPENAI_API_KEY,
});

const built = await Bun.build({
  entrypoints: ["./page.tsx"],
  minify: true,
  define: { "process.env.NODE_ENV": '"production"' },
});
if (!built.success) throw new AggregateError(built.logs, "the page cannot be built");
const script = await built.outputs[0].text();

const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>AI SDK</title>
<style>main { height: 80vh; overflow: auto; font: 16px sans-serif }</style>
<div id="root"></div><script type="module" src="/page.js"></script></html>`;

Bun.serve({
  port: Number(process.env.PORT),
  hostname: "127.0.0.1",
  idleTimeout: 0,
  routes: {
    "/": () => new Response(page, { headers: { "content-type": "text/html" } }),
    "/page.js": () => new Response(script, { headers: { "content-type": "text/javascript" } }),
    "/api/chat": async (request) => {
      const { messages } = (await request.json()) as { messages: UIMessage[] };
      const result = streamText({ model: provider("tour"), messages: await convertToModelMessages(messages) });
      return result.toUIMessageStreamResponse();
    },
  },
});
