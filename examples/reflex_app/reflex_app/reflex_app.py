"""The chat in a Reflex app of yours, with a model and a tool of yours: `cd examples/reflex_app && reflex run`."""

import reflex as rx

from streamchat import model, tool
from streamchat.reflex import chat, serve


@model
async def echo(request):
    """Says the question again, word by word."""
    for word in request.text.split():
        yield word + " "


@tool
def dice(sides: int = 6) -> int:
    """Roll a die."""
    import random

    return random.randint(1, sides)


def index() -> rx.Component:
    return rx.vstack(rx.heading("My app"), chat(heading="Ask away"), height="100vh", align="stretch", padding="1em")


app = serve(rx.App(), models=[echo], tools=[dice])
app.add_page(index)
