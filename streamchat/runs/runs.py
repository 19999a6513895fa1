"""Start, follow and cancel answers. A run owns its answer: no page, socket or request does.

Knows the log, the store and the models through their protocols. Rules:

* ``start`` is idempotent per client message id: the same run, and one call of the provider.
* One answer at a time in a conversation.
* Stop is the cancelling of the task, which closes the provider's connection; nothing polls a flag. A run of another
  worker is stopped by that worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from streamchat.chat.events import Event
from streamchat.chat.messages import FilePart, ImagePart, Message, Part, TextPart, whole
from streamchat.chat.request import Options, Request
from streamchat.errors import InvalidInput, NotFound, StreamchatError
from streamchat.runs.attempts import Policy, Target, attempts
from streamchat.runs.context import fit
from streamchat.runs.feed import Feed, Note
from streamchat.runs.log import Log, Snapshot, follow
from streamchat.runs.ports import Begun, Models, Store
from streamchat.runs.produce import Running, produce
from streamchat.runs.writer import Writer

MAX_MESSAGE_CHARS = 200_000
# For another worker to end a run that it was asked to stop; and when it is asked again.
STOP_SECONDS, STOP_AGAIN_SECONDS = 5.0, 1.0
_BEYOND = 2**62


class Runs:
    def __init__(
        self,
        *,
        log: Log,
        feed: Feed,
        store: Store,
        models: Models,
        writer: Writer,
        policy: Policy,
        worker: str,
        ask_stop: Callable[[str], None] | None = None,
    ) -> None:
        """``ask_stop`` tells the other workers to stop a run; ``None`` where there are none."""
        self.log = log
        self.feed = feed
        self._store = store
        self._models = models
        self._writer = writer
        self._policy = policy
        self._worker = worker
        self._ask_stop = ask_stop
        self._running: dict[str, Running] = {}

    async def start(
        self,
        owner: str,
        *,
        conversation_id: str | None,
        client_message_id: str,
        parts: Sequence[Part],
        model: str,
        system: str | None = None,
        options: Options | None = None,
    ) -> Begun:
        """Ask a model. Raises ``InvalidInput``, ``NotFound``, ``StorageError``."""
        check_message(parts)
        _check_client_id(client_message_id)
        parts = [replace(p, text=whole(p.text)) if isinstance(p, TextPart | FilePart) else p for p in parts]
        self._models.info(model)
        if conversation_id:
            await self._check_free(owner, conversation_id, client_message_id)
        begun = await self._store.begin(
            owner,
            conversation_id=conversation_id,
            client_message_id=client_message_id,
            parts=parts,
            model=model,
            worker=self._worker,
            alone=True,
        )
        run = Running(begun.run_id, owner, begun.conversation_id, client_message_id)
        return self._launch(run, begun, model, begun.history, system, options or Options())

    async def again(self, owner: str, *, message_id: str, client_message_id: str, model: str, keep: bool) -> Begun:
        """Retry an answer, or (``keep``) continue it, as a sibling. Raises as ``start``."""
        _check_client_id(client_message_id)
        self._models.info(model)
        here = (await self._store.answer(owner, message_id)).conversation_id
        await self._check_free(owner, here, client_message_id)
        begun = await self._store.begin_again(
            owner,
            message_id=message_id,
            client_message_id=client_message_id,
            model=model,
            worker=self._worker,
            keep=keep,
            alone=True,
        )
        history: tuple[Message, ...] = (*begun.history, begun.answer) if keep else begun.history
        run = Running(begun.run_id, owner, begun.conversation_id, client_message_id)
        return self._launch(run, begun, model, history)

    async def cancel(self, owner: str, run_id: str) -> None:
        """Stop a run, and wait for its ending. Nothing happens to one that has ended.

        Raises ``NotFound``, and ``StreamchatError`` where another worker writes it and does not end it in time.
        """
        run = self._running.get(run_id)
        if run is not None and run.owner == owner:
            self.stop_here(run_id)
            if run.task:
                await asyncio.wait([run.task])
            return
        stored = await self._store.answer(owner, run_id)
        if self._ask_stop is not None and stored.message.status == "streaming":
            await self._stop_elsewhere(owner, run_id, self._ask_stop)

    async def stop(self, owner: str, conversation_id: str) -> None:
        """Stop what is being answered in a conversation, here or elsewhere. Raises as ``cancel``."""
        here = [run.run_id for run in self.running(owner, conversation_id)]
        await asyncio.gather(*(self.cancel(owner, run_id) for run_id in here))
        if self._ask_stop is not None:
            rows = [row for row in await self._store.answering(owner) if row.conversation_id == conversation_id]
            await asyncio.gather(*(self.cancel(owner, row.run_id) for row in rows))

    def stop_here(self, run_id: str) -> None:
        """Stop a run if it is written here; its ending follows."""
        run = self._running.get(run_id)
        if run is not None and run.stop_asked is None and not run.ending:
            run.stop_asked = asyncio.get_running_loop().time()
            run.cancel()

    def give_up(self, run_id: str) -> None:
        """Another worker took this run for dead and ended it: close the provider's stream, write nothing more."""
        if run := self._running.get(run_id):
            run.superseded = True
            run.cancel()

    async def get(self, owner: str, run_id: str) -> tuple[str, Snapshot]:
        """The conversation of a run, and its answer so far, live or stored. Raises ``NotFound``."""
        stored = await self._store.answer(owner, run_id)
        try:
            await self.log.attach(run_id)
            return stored.conversation_id, self.log.snapshot(run_id)
        except NotFound:
            return stored.conversation_id, Snapshot(stored.seq, stored.message)

    def running(self, owner: str, conversation_id: str | None = None) -> list[Running]:
        """What is under way for this owner, in one conversation or in all."""
        return [
            run
            for run in self._running.values()
            if run.owner == owner and conversation_id in (None, run.conversation_id)
        ]

    def here(self) -> list[str]:
        """The ids of all runs that have a task in this process."""
        return list(self._running)

    async def close(self, patience: float = 5.0) -> None:
        """End every run as *interrupted*, its partial answer stored, within ``patience`` seconds."""
        tasks = [run.task for run in self._running.values() if run.task]
        for run in list(self._running.values()):
            run.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=patience)

    async def _stop_elsewhere(self, owner: str, run_id: str, ask: Callable[[str], None]) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                while not await self._ends(run_id, ask):
                    if (await self._store.answer(owner, run_id)).message.ended:
                        return
        except TimeoutError:
            sentence = "This answer is written by another process of the server, which does not respond. Try again."
            raise StreamchatError(sentence, kind="not-stopped") from None

    async def _ends(self, run_id: str, ask: Callable[[str], None]) -> bool:
        """Ask once; whether the ending comes soon."""
        ask(run_id)
        try:
            async with asyncio.timeout(STOP_AGAIN_SECONDS), aclosing(follow(self.log, run_id, _BEYOND)) as batches:
                async for _ in batches:
                    pass
                return True
        except TimeoutError:
            return False
        except NotFound:  # Redis is away, or has lost it: the database says when it has ended
            await asyncio.sleep(STOP_AGAIN_SECONDS / 5)
            return False

    async def _check_free(self, owner: str, conversation_id: str, client_message_id: str) -> None:
        """Whether another may begin. What has begun already may be asked for at any time."""
        others = any(run.client_message_id != client_message_id for run in self.running(owner, conversation_id))
        if others and not await self._store.known(owner, client_message_id):
            raise InvalidInput("An answer is still being written here. Stop it first, or wait for its end.")

    def _launch(
        self,
        run: Running,
        begun: Begun,
        model: str,
        history: tuple[Message, ...],
        system: str | None = None,
        options: Options = Options(),  # noqa: B008 it is frozen
    ) -> Begun:
        if begun.created:
            info = self._models.info(model)
            messages, notice = fit(history, window=info.capabilities.context, system=system, answer=options.max_tokens)
            self._running[run.run_id] = run
            self.log.open(begun.answer, [notice] if notice else [])
            self._writer.watch(run.run_id)
            target = Target(self._models.provider(model), info.name, info.label)
            source = attempts(target, Request(info.name, messages, system, options), self._policy)
            run.task = asyncio.create_task(self._work(run, source), name=f"run {run.run_id}")
            self.feed.publish(run.owner, Note("started", run.conversation_id, run.run_id))
        return begun

    async def _work(self, run: Running, source: AsyncGenerator[Event, None]) -> None:
        try:
            await produce(run, source, self.log, self._writer)
        finally:
            self._running.pop(run.run_id, None)
            self.feed.publish(run.owner, Note("ended", run.conversation_id, run.run_id))


def check_message(parts: Sequence[Part]) -> None:
    """Raises ``InvalidInput`` for an empty or an oversized message."""
    if not any(isinstance(p, ImagePart | FilePart) or (isinstance(p, TextPart) and p.text.strip()) for p in parts):
        raise InvalidInput("The message is empty.")
    if sum(len(p.text) for p in parts if isinstance(p, TextPart | FilePart)) > MAX_MESSAGE_CHARS:
        raise InvalidInput(f"The message is longer than {MAX_MESSAGE_CHARS:,} characters. Please shorten it.")


def _check_client_id(client_message_id: str) -> None:
    if not isinstance(client_message_id, str) or not 1 <= len(client_message_id) <= 100:
        raise InvalidInput("A message needs a client id of 1 to 100 characters.")
