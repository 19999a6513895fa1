"""An agent of Pydantic AI behind its AG-UI adapter: one tool of its own, and one that a person has to approve."""

import sys

import uvicorn
from pydantic_ai import Agent, DeferredToolRequests  # pyrefly: ignore[missing-import]
from pydantic_ai.models.test import TestModel  # pyrefly: ignore[missing-import]
from pydantic_ai.ui.ag_ui import AGUIAdapter  # pyrefly: ignore[missing-import]
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

agent = Agent(TestModel(), output_type=[str, DeferredToolRequests])
plain = Agent(TestModel())


@plain.tool_plain
def length(text: str) -> int:
    return len(text)


@agent.tool_plain(requires_approval=True)
def send(to: str) -> str:
    return f"sent to {to}"


async def run(request: Request):
    return await AGUIAdapter.dispatch_request(request, agent=plain if request.url.path == "/plain" else agent)


app = Starlette(routes=[Route("/", run, methods=["POST"]), Route("/plain", run, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
