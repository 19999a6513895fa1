// The client of AG-UI: its own verifier checks every event.
// bun ag_ui.mjs reads {url, texts, options…} as a line of JSON, asks each text in turn, and prints what the agent held in
// the end as another line; then the next agent.
import { createInterface } from "node:readline";

import { buildResumeArray, HttpAgent } from "@ag-ui/client";

for await (const line of createInterface({ input: process.stdin })) {
  const { url: server, texts, tools = [], model, results = {}, decisions = [], stop = false } = JSON.parse(line);
  let run = "";
  const noting = async (url, request) => {
    const response = await fetch(url, request);
    run = response.headers.get("X-Run-Id");
    return response;
  };
  const url = `${server}/ag-ui?model=${model}`;
  const agent = new HttpAgent({ url, threadId: "thread-1", fetch: noting });
  const seen = [];
  const outcomes = [];
  const interrupts = [];
  const subscriber = {
    onEvent: async ({ event }) => {
      seen.push(event.type);
      const isFirst = event.type === "TEXT_MESSAGE_CONTENT" && seen.filter((type) => type === event.type).length === 1;
      if (stop && isFirst) await fetch(`${server}/api/runs/${run}`, { method: "DELETE" });
    },
    onRunFinishedEvent: ({ outcome }) => void outcomes.push(outcome),
  };

  for (const [number, text] of texts.entries()) {
    agent.addMessage({ id: `user-${number}`, role: "user", content: text });
    await agent.runAgent({ tools }, subscriber);
    const calls = agent.messages.at(-1).toolCalls ?? [];
    for (const call of calls.filter((one) => one.function.name in results)) {
      const content = results[call.function.name];
      agent.addMessage({ id: `result-${call.id}`, role: "tool", toolCallId: call.id, content });
    }
    if (agent.messages.at(-1).role === "tool" && calls.some((one) => one.function.name in results)) {
      await agent.runAgent({ tools }, subscriber);
    }
    for (const decision of decisions.splice(0, agent.pendingInterrupts.length ? 1 : 0)) {
      const pending = agent.pendingInterrupts;
      interrupts.push(...pending);
      const resume = buildResumeArray(pending, Object.fromEntries(pending.map(({ id }) => [id, decision])));
      await agent.runAgent({ tools, resume }, subscriber);
    }
  }
  console.log(JSON.stringify({ messages: agent.messages, seen, outcomes, interrupts, left: agent.pendingInterrupts }));
}
process.exit(0);
