"""A graph of LangGraph as a model: `pip install langgraph`, then `streamchat run examples/model_langgraph.py`.

The nodes need no network; a chat model of LangChain in a node streams its tokens the same way.
"""

from __future__ import annotations

from typing import TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph

from streamchat import ReasoningDelta, model


class State(TypedDict, total=False):
    question: str
    turns: int


def think(state: State) -> State:
    get_stream_writer()({"thought": f"The question has {len(state['question'])} characters."})
    return {"turns": state.get("turns", 0) + 1}


def answer(state: State) -> State:
    write = get_stream_writer()
    for word in f"This is turn {state['turns']} of our talk: {state['question']}".split():
        write({"text": word + " "})
    return {}


graph = StateGraph(State).add_node("think", think).add_node("answer", answer)
graph.add_edge(START, "think").add_edge("think", "answer").add_edge("answer", END)
# The graph keeps its own state by conversation.
app = graph.compile(checkpointer=InMemorySaver())


@model(label="LangGraph", tools=False)
async def langgraph(request):
    config = {"configurable": {"thread_id": request.conversation_id}}
    async for piece in app.astream({"question": request.text}, config, stream_mode="custom"):
        yield piece["text"] if "text" in piece else ReasoningDelta(piece["thought"])
