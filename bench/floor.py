"""The floor under the page: a bare relay and a page that appends to one text node.

A child process, started like the program itself. The provider's bytes go to the browser as they come: no SDK,
no events, no numbering, no database, no Markdown. It has the test ids that ``bench.page`` drives, nothing more.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from functools import cache

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

PAGE = """<!doctype html><meta charset="utf-8"><title>floor</title>
<style>main{height:80vh;overflow:auto;white-space:pre-wrap;font:16px sans-serif}</style>
<main></main><textarea data-testid="composer"></textarea><button data-testid="send">Send</button>
<script>
const main = document.querySelector("main"), composer = document.querySelector("textarea");
document.querySelector("button").onclick = async () => {
  const message = document.createElement("div"), text = document.createTextNode("");
  message.innerHTML = '<div data-testid="answer"></div>';
  Object.assign(message.dataset, {testid: "message", role: "assistant", status: "streaming", messageId: Date.now()});
  message.firstChild.append(text);
  main.append(message);
  const body = composer.value;
  composer.value = "";
  const answer = await fetch("/ask", {method: "POST", body});
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", read; !(read = await reader.read()).done;) {
    const events = (rest + read.value).split("\\n\\n");
    rest = events.pop();
    for (const event of events) {
      if (event === "data: [DONE]") continue;
      text.appendData(JSON.parse(event.slice(6)).choices[0]?.delta.content ?? "");
    }
    main.scrollTop = main.scrollHeight;
  }
  message.dataset.status = "finished";
};
</script>"""


@cache  # a client of its own per request costs 40 ms
def _client() -> httpx2.AsyncClient:
    headers = {"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    return httpx2.AsyncClient(timeout=None, headers=headers, base_url=os.environ["OPENAI_BASE_URL"])


async def page(request: Request) -> Response:
    return HTMLResponse(PAGE)


async def ask(request: Request) -> Response:
    message = (await request.body()).decode()
    body = {"model": "tour", "stream": True, "messages": [{"role": "user", "content": message}]}

    async def relay() -> AsyncIterator[bytes]:
        async with _client().stream("POST", "/chat/completions", json=body) as answer:
            async for data in answer.aiter_bytes():
                yield data

    return StreamingResponse(relay(), media_type="text/event-stream")


if __name__ == "__main__":
    app = Starlette(routes=[Route("/", page), Route("/ask", ask, methods=["POST"])])
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning", access_log=False)
