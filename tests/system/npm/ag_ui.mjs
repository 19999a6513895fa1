// The client of AG-UI against the server at URL: its own verifier checks every event.
// bun ag_ui.mjs '<options as JSON>' asks each text in turn and prints what the agent held in the end, as JSON.
import { HttpAgent } from "@ag-ui/client";

const { texts, tools = [], model, results = {} } = JSON.parse(process.argv[2]);
const agent = new HttpAgent({ url: `${process.env.URL}/ag-ui?model=${model}`, threadId: "thread-1" });
const seen = [];
const subscriber = { onEvent: ({ event }) => void seen.push(event.type) };

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
}
console.log(JSON.stringify({ messages: agent.messages, seen }));
process.exit(0);
