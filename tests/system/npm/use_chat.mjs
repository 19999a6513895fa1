// Front ends built on the AI SDK's useChat, in React on a small DOM, one after the other.
// bun use_chat.mjs reads {url, scenario, options…} as a line of JSON, and prints what the hook held in the end as another.
import { createInterface } from "node:readline";
import { Window } from "happy-dom";

const window = new Window();
Object.assign(globalThis, { window, document: window.document });
const { createElement } = await import("react");
const { createRoot } = await import("react-dom/client");
const { useChat } = await import("@ai-sdk/react");
const ai = await import("ai");

let options = {};

function mount(more = {}) {
  const held = { seen: [] };
  const headers = options.scenario === "stop" ? { "X-Stop-On-Disconnect": "1" } : {};
  const transport = new ai.DefaultChatTransport({ headers, api: `${options.url}/api/chat`, body: options.body ?? { model: options.model } });
  function Chat() {
    held.chat = useChat({ id: options.id, transport, ...more });
    const last = held.chat.messages.at(-1);
    held.seen.push([held.chat.status, last?.role, textOf(last).length]);
    return null;
  }
  const root = createRoot(window.document.createElement("div"));
  root.render(createElement(Chat));
  held.unmount = () => root.unmount();
  held.until = async (met) => {
    for (const end = Date.now() + 30000; !(held.chat && met(held.chat)); ) {
      if (Date.now() > end) throw new Error(`waited in vain: ${JSON.stringify(held.chat)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  held.settled = async (work) => {
    await work; // as long as the request takes; then only what React has to do with it is left
    await new Promise((resolve) => setTimeout(resolve, 50));
    await held.until((chat) => chat.status === "ready" || chat.status === "error");
  };
  return held;
}

function textOf(message) {
  return (message?.parts ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
}

function calls(chat) {
  return (chat.messages.at(-1)?.parts ?? []).filter((part) => ai.isToolUIPart(part));
}

async function ask(held, text) {
  await held.until((chat) => chat.status === "ready" || chat.status === "error");
  await held.settled(held.chat.sendMessage({ text }));
}

const scenarios = {
  async ask() {
    const held = mount();
    await held.until(() => true);
    for (const text of options.texts) await ask(held, text);
    return held;
  },
  async again() {
    const held = mount();
    await held.until(() => true);
    await ask(held, options.texts[0]);
    await held.settled(held.chat.regenerate());
    return held;
  },
  async resume() {
    const first = mount();
    await first.until(() => true);
    first.chat.sendMessage({ text: options.texts[0] });
    await first.until((chat) => textOf(chat.messages.at(-1)).includes("w000010"));
    first.chat.stop();
    first.unmount();
    const held = mount({ resume: true });
    await held.until((chat) => chat.messages.length > 0);
    await held.settled();
    return held;
  },
  async stop() {
    const held = mount();
    await held.until(() => true);
    held.chat.sendMessage({ text: options.texts[0] });
    await held.until((chat) => textOf(chat.messages.at(-1)).includes("w000010"));
    held.chat.stop();
    await held.settled();
    return held;
  },
  async tools() {
    const held = mount({
      sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithToolCalls,
      onToolCall({ toolCall }) {
        const output = { answer: 42, of: toolCall.input };
        const add = held.chat.addToolOutput ?? held.chat.addToolResult;
        add({ tool: toolCall.toolName, toolCallId: toolCall.toolCallId, output });
      },
    });
    await held.until(() => true);
    await ask(held, options.texts[0]);
    await held.until((chat) => textOf(chat.messages.at(-1)).includes("That is all I needed"));
    await held.settled();
    return held;
  },
  async approve() {
    const held = mount({ sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithApprovalResponses });
    await held.until(() => true);
    await ask(held, options.texts[0]);
    await held.until((chat) => calls(chat).some((part) => part.state === "approval-requested"));
    for (const part of calls(held.chat).filter((call) => call.state === "approval-requested")) {
      held.chat.addToolApprovalResponse({ id: part.approval.id, approved: options.approved, reason: options.reason });
    }
    await held.until((chat) => calls(chat).every((part) => part.state.startsWith("output-")));
    await held.settled();
    return held;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  options = JSON.parse(line);
  const held = await scenarios[options.scenario]();
  const { messages, status, error } = held.chat;
  console.log(JSON.stringify({ messages, status, error: error?.message ?? null, seen: held.seen }));
  held.unmount();
}
process.exit(0);
