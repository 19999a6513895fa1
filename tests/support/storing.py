"""What a run's owner does with its row, for tests that have no run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamchat.chat.events import Interrupted
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.chat.writes import Change
from streamchat.runs.service import LOST
from streamchat.storage import Storage, queries


async def save(storage: Storage, entries: Sequence[tuple[Message, int]], *, epoch: int = 0) -> set[str]:
    """Store whole partial answers. Returns the runs whose rows took it."""
    changes = [Change(message.id, epoch, seq, seq, message=message) for message, seq in entries]
    return set((await storage.write(changes)).seqs)


async def beat(storage: Storage, run_ids: Iterable[str], *, epoch: int = 0) -> set[str]:
    """Store a heartbeat. Returns the runs whose rows took it."""
    changes = []
    for run_id in run_ids:
        stored = await storage._database.read(lambda connection, one=run_id: queries.run_of(connection, one))
        seq = stored.seq if stored else 0
        changes.append(Change(run_id, epoch, seq, seq))
    return set((await storage.write(changes)).seqs)


async def sweep(storage: Storage, seconds: float, sentence: str = "gone") -> list[str]:
    """End the streaming answers without a heartbeat for so long. Returns their ids."""
    swept = []
    for stale in await storage.stale(seconds):
        stored = await storage.claim(stale.run_id, worker="sweep", epoch=stale.epoch, silent_for=seconds)
        if stored is not None:
            ended = fold(stored.message, Interrupted(sentence, "process-gone"))
            if await storage.end(ended, stored.seq + LOST + 1, epoch=stored.epoch):  # else another one took it over
                swept.append(stored.run_id)
    return swept
