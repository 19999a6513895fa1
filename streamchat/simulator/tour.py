"""Texts of the scenes ``tour``, the first answer that many users see, and ``diagram``. Data only."""

TOUR = """\
# Welcome to streamchat

You are reading an answer **while it is being written**. There is no model behind it: this is the *simulator*, a \
scripted provider that speaks the vendors' real wire formats: everything between it and your screen is the real thing.

## What you can do with it

- **Leave.** Reload the page, close the tab, come back from another browser: the answer goes on without you and is \
there when you return.
- **Stop.** The provider's connection closes within moments, and the words you have are kept.
- **Break it.** Pick another scene in the model picker, and see what a lost connection or an overloaded provider \
looks like when it is treated honestly.

> An answer is a numbered log of events. One producer writes it, any number of readers follow it.

## Formatting arrives whole

Tables, lists and code are drawn as they come, and no raw markers flash up on the way.

| A reader of the log | Good for | Resumes |
| --- | --- | :---: |
| this page | people | yes |
| `curl -N` | scripts | yes |
| a WebSocket | apps | yes |
| any OpenAI or Anthropic SDK | programs you already have | yes |

Following an answer from Python takes a few lines:

```python
import httpx

with httpx.stream("GET", f"{server}/api/runs/{run_id}/events") as events:
    for line in events.iter_lines():
        print(line)
```

And from a browser, fewer still:

```javascript
const answer = new EventSource(`/api/runs/${runId}/events`);
answer.addEventListener("text-delta", (event) => {
  output.append(JSON.parse(event.data).text);
});
```

## Try the other scenes

1. `reasoning` thinks first, and keeps its thoughts apart from the answer.
2. `tools` and `parallel-tools` call functions; `split-emoji` cuts characters in two, harmlessly 🙂.
3. `reset`, `cut`, `stall` and `overloaded-after` go wrong half-way: the partial answer stays, and **Retry** works.
4. `firehose` sends four thousand tokens as fast as it can.

Words in your message tune what comes back. For example:

```text
n=500 rate=50 kind=markdown
```

asks for five hundred tokens of Markdown at fifty a second, and `n=200 fault=reset at=100` breaks the connection \
half-way. `ttft=2000` makes you wait two seconds for the first token, and `chunk=byte` sends every byte on its own.

## A real model

Set `OPENAI_API_KEY` or `ANTHROPIC_API_KEY` before the start, or point `OPENAI_BASE_URL` at a server of your own \
([llama.cpp](https://github.com/ggml-org/llama.cpp), Ollama, vLLM …). It then appears in the picker.
"""

DIAGRAM = """\
This is the way of an answer. The diagram is drawn once its last line is there; until then you see its source.

```mermaid
flowchart LR
    model[Model] -->|events| log[(Numbered log)]
    log --> page[This page]
    log --> api[HTTP, SSE, WebSocket]
    log --> store[(Database)]
    page -.->|Stop| model
```

Whatever reads the log can leave and come back: it says the number that it saw last, and goes on from there.
"""
