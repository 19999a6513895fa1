"""An agent of LangGraph behind its AG-UI adapter: it asks a person, and says what the answer was."""

import sys
from typing import Annotated

import uvicorn
from ag_ui_langgraph import LangGraphAgent, add_langgraph_fastapi_endpoint  # pyrefly: ignore[missing-import]
from fastapi import FastAPI
from langchain_core.messages import AIMessage  # pyrefly: ignore[missing-import]
from langgraph.checkpoint.memory import MemorySaver  # pyrefly: ignore[missing-import]
from langgraph.graph import END, START, StateGraph  # pyrefly: ignore[missing-import]
from langgraph.graph.message import add_messages  # pyrefly: ignore[missing-import]
from langgraph.types import interrupt  # pyrefly: ignore[missing-import]
from typing_extensions import TypedDict


class State(TypedDict):
    messages: Annotated[list, add_messages]
    asked: int


def ask(state: State) -> dict:
    answer = interrupt("May I?")
    return {"messages": [AIMessage(f"You said {answer}.")], "asked": state.get("asked", 0) + 1}


graph = StateGraph(State)
graph.add_node("ask", ask)
graph.add_edge(START, "ask")
graph.add_edge("ask", END)
agent = LangGraphAgent(name="asker", graph=graph.compile(checkpointer=MemorySaver()), emit_interrupt_outcome=True)
app = FastAPI()
add_langgraph_fastapi_endpoint(app, agent, "/")
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
