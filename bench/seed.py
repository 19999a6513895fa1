"""A conversation that is there before the server starts."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from uuid import uuid4

from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.fold import fold
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.identity import LOCAL_OWNER
from streamchat.settings import Settings
from streamchat.simulator import texts
from streamchat.storage import Storage


async def conversation(data: Path, turns: int, words: int, model: str) -> str:
    """Store question and answer ``turns`` times, each answer of so many words of Markdown; the conversation's id."""
    store = Storage(Settings.model_validate({"STREAMCHAT_DATA_DIR": data}).database)
    await store.open()
    conversation_id = None
    for turn in range(turns):
        begun = await store.begin(
            LOCAL_OWNER,
            NewRun(
                conversation_id=conversation_id,
                client_message_id=str(uuid4()),
                parts=(TextPart(f"Question {turn + 1}"),),
                model=model,
            ),
            worker="bench",
        )
        conversation_id = begun.conversation_id
        text = "".join(islice(texts.markdown(words, seed=turn), words))
        await store.end(fold(begun.answer, [TextDelta(text), Finished("stop")]), 2)
    await store.close()
    assert conversation_id is not None
    return conversation_id
