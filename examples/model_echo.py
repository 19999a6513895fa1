"""A model in five lines: `streamchat run examples/model_echo.py`, then choose `echo`."""

from streamchat import model


@model
async def echo(request):
    yield f"You said: {request.text}"
