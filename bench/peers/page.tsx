// The page of the AI SDK's minimal app, with the test ids that `bench.page` drives.

import { useChat } from "@ai-sdk/react";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import { Streamdown } from "streamdown";

function Chat() {
  const { messages, sendMessage, status } = useChat();
  const [input, setInput] = useState("");
  const main = useRef<HTMLElement>(null);
  useEffect(() => {
    if (messages.length) main.current?.scrollTo(0, main.current.scrollHeight);
  }, [messages]);
  const send = (event: FormEvent) => {
    event.preventDefault();
    void sendMessage({ text: input });
    setInput("");
  };
  const answering = status === "submitted" || status === "streaming";
  return (
    <>
      <main ref={main}>
        {messages.map((message, index) => (
          <div
            key={message.id}
            data-testid="message"
            data-role={message.role}
            data-message-id={message.id}
            data-status={answering && index === messages.length - 1 ? "streaming" : "finished"}
          >
            <div data-testid="answer">
              {message.parts.map((part, place) =>
                // biome-ignore lint/suspicious/noArrayIndexKey: parts are only added
                part.type === "text" ? <Streamdown key={place}>{part.text}</Streamdown> : null,
              )}
            </div>
          </div>
        ))}
      </main>
      <form onSubmit={send}>
        <textarea data-testid="composer" value={input} onChange={(event) => setInput(event.target.value)} />
        <button type="submit" data-testid="send">
          Send
        </button>
      </form>
    </>
  );
}

const root = document.getElementById("root");
if (root) createRoot(root).render(<Chat />);
