// A React component over the hook. Copy streamchat-client.js and use-run.js from assets/ into your project.
import { useState } from "react";
import { createRoot } from "react-dom/client";

import { useRun } from "../assets/use-run.js";

const server = new URLSearchParams(location.search).get("server") ?? "http://localhost:3000";

function Answer() {
  const [question, setQuestion] = useState("Hello");
  const { text, status, error, ask, stop } = useRun(server);
  const submit = (event) => {
    event.preventDefault();
    ask(question);
  };
  return (
    <form onSubmit={submit}>
      <input name="question" size="60" value={question} onChange={(event) => setQuestion(event.target.value)} />
      {status === "streaming" ? <button type="button" onClick={stop}>Stop</button> : <button>Ask</button>}
      <pre id="answer" style={{ whiteSpace: "pre-wrap" }}>{text}</pre>
      <p id="status">{error ?? status}</p>
    </form>
  );
}

createRoot(document.getElementById("root")).render(<Answer />);
