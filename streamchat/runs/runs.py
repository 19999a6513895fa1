"""Start, follow and cancel answers. A run owns its answer: no page, socket or request does.

Knows the log, the store, the models and the tools through their protocols. Rules:

* ``start`` is idempotent per client message id: the same run, and one call of the provider.
* One answer at a time in a conversation.
* Stop is the cancelling of the task, which closes the provider's connection; nothing polls a flag. A run of another
  worker is stopped by that worker; one that waits for a decision has no task, and is ended where it is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace

from streamchat.chat.events import Event
from streamchat.chat.messages import Message, Part, settled
from streamchat.chat.request import Options, Request, ToolSpec, Wishes
from streamchat.errors import InvalidInput, NotFound
from streamchat.runs.agent import Agent, Asking
from streamchat.runs.attempts import Policy, Target
from streamchat.runs.checks import check_client_id, check_message
from streamchat.runs.decisions import Decision, Parked, always_of, decided
from streamchat.runs.elsewhere import stop_elsewhere
from streamchat.runs.feed import Feed, Note
from streamchat.runs.log import Log, Snapshot
from streamchat.runs.ports import Begun, Models, Store
from streamchat.runs.produce import Running, produce
from streamchat.runs.tools import Tools
from streamchat.runs.turns import Turns
from streamchat.runs.writer import Writer
from streamchat.tools.context import Context, Services
from streamchat.tools.toolbox import Toolbox


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
        toolbox: Toolbox | None = None,
        tool_services: Services | None = None,
        ask_stop: Callable[[str], None] | None = None,
    ) -> None:
        """``toolbox``: ``None`` where there are no tools; ``tool_services``: what they may ask of the program.
        ``ask_stop`` tells the other workers to stop a run; ``None`` where there are none."""
        self.log = log
        self.feed = feed
        self._store = store
        self._models = models
        self._writer = writer
        self._policy = policy
        self._worker = worker
        self._toolbox = toolbox
        self._tool_services = tool_services
        self._ask_stop = ask_stop
        self._parked = Parked(store, log, worker)
        self._turns = Turns()
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
        history: Sequence[Message] = (),
        prefix: Sequence[Part] = (),
        tools: Sequence[ToolSpec] | None = None,
        named: str | None = None,
    ) -> Begun:
        """Ask a model. Raises ``InvalidInput``, ``NotFound``, ``StorageError``.

        ``history``: earlier turns that come with the question, where the client keeps the conversation. ``prefix``:
        parts with which the answer begins (its earlier calls with the results that the client brings); there may be
        no question then. ``tools``: the client's own: offered instead of ours, and never run here. ``named``: the id
        of the conversation that begins, where the client has one for it.
        """
        said = check_message(parts) if parts or not prefix else []
        check_client_id(client_message_id)
        self._models.info(model)
        if conversation_id:
            await self._check_free(owner, conversation_id, client_message_id)
        wishes = Wishes(system, options or Options(), None if tools is None else tuple(tools))
        beginning = self._store.begin(
            owner,
            conversation_id=conversation_id,
            client_message_id=client_message_id,
            parts=said,
            model=model,
            worker=self._worker,
            alone=True,
            history=[replace(message, parts=settled(message.parts)) for message in history],
            prefix=settled(prefix),
            request=wishes.to_json(),
            named=named,
        )
        return await self._turns.whole(self._launch(owner, client_message_id, beginning, model, wishes))

    async def again(self, owner: str, *, message_id: str, client_message_id: str, model: str, keep: bool) -> Begun:
        """Retry an answer, or (``keep``) continue it, as a sibling. Raises as ``start``."""
        check_client_id(client_message_id)
        self._models.info(model)
        old = await self._store.answer(owner, message_id)
        await self._check_free(owner, old.conversation_id, client_message_id)
        beginning = self._store.begin_again(
            owner,
            message_id=message_id,
            client_message_id=client_message_id,
            model=model,
            worker=self._worker,
            keep=keep,
            alone=True,
        )
        wishes = Wishes.from_json(old.request)
        return await self._turns.whole(self._launch(owner, client_message_id, beginning, model, wishes))

    async def decide(self, owner: str, run_id: str, call_id: str, decision: Decision) -> None:
        """A person's word about a call that waits for it. Raises ``NotFound``, ``InvalidInput``, ``StorageError``."""
        await self._turns.whole(self._decide(owner, run_id, call_id, decision))

    async def _decide(self, owner: str, run_id: str, call_id: str, decision: Decision) -> None:
        async with self._turns.of(run_id):
            stored = await self._store.answer(owner, run_id)
            self._models.info(stored.message.model)
            if (run := self._running.get(run_id)) and run.task and run.ending:
                await asyncio.wait([run.task])  # it begins to wait
            history = await self._store.asked(owner, run_id)
            stored, message = await self._parked.change(
                owner, run_id, lambda message: decided(message, call_id, decision, self._toolbox)
            )
            try:
                if names := always_of(message, call_id, decision):
                    await self._store.choose(owner, stored.conversation_id, always=names)
            finally:
                if message.status == "streaming":
                    again = Running(run_id, owner, stored.conversation_id, "")
                    self._go(again, message.model, Wishes.from_json(stored.request), history)
                self.feed.publish(owner, Note("started", stored.conversation_id, run_id))

    async def cancel(self, owner: str, run_id: str) -> None:
        """Stop a run, and wait for its ending. Nothing happens to one that has ended.

        Raises ``NotFound``, and ``StreamchatError`` where another worker writes it and does not end it in time.
        """
        await self._stop_running(owner, run_id)
        if await self._turns.whole(self._end_waiting(owner, run_id)):
            return
        await self._stop_running(owner, run_id)  # somebody decided meanwhile
        if self._ask_stop is not None and run_id not in self._running:
            if (await self._store.answer(owner, run_id)).message.status == "streaming":
                await stop_elsewhere(self.log, self._store, owner, run_id, self._ask_stop)

    async def _stop_running(self, owner: str, run_id: str) -> None:
        if (run := self._running.get(run_id)) and run.owner == owner:
            self.stop_here(run_id)
            if run.task:
                await asyncio.wait([run.task])

    async def _end_waiting(self, owner: str, run_id: str) -> bool:
        async with self._turns.of(run_id):
            if stored := await self._parked.stop(owner, run_id):
                self.feed.publish(owner, Note("ended", stored.conversation_id, run_id))
        return stored is not None

    async def stop(self, owner: str, conversation_id: str) -> None:
        """Stop what is being answered in a conversation, or waits in it, here or elsewhere. Raises as ``cancel``."""
        here = [run.run_id for run in self.running(owner, conversation_id)]
        await asyncio.gather(*(self.cancel(owner, run_id) for run_id in here))
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
        mine = [run for run in self._running.values() if run.owner == owner]
        return [run for run in mine if conversation_id in (None, run.conversation_id)]

    def here(self) -> list[str]:
        """The ids of all runs that have a task in this process."""
        return list(self._running)

    async def close(self, patience: float = 5.0) -> None:
        """End every run as *interrupted*, its partial answer stored, within ``patience`` seconds."""
        await self._turns.settle(patience / 5)
        tasks = [run.task for run in self._running.values() if run.task]
        for run in list(self._running.values()):
            run.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=patience)

    async def _check_free(self, owner: str, conversation_id: str, client_message_id: str) -> None:
        """Whether another may begin. What has begun already may be asked for at any time."""
        others = any(run.client_message_id != client_message_id for run in self.running(owner, conversation_id))
        if others and not await self._store.known(owner, client_message_id):
            raise InvalidInput("An answer is still being written here. Stop it first, or wait for its end.")

    async def _launch(self, owner: str, key: str, beginning: Awaitable[Begun], model: str, wishes: Wishes) -> Begun:
        begun = await beginning
        if begun.created:
            run = Running(begun.run_id, owner, begun.conversation_id, key)
            self.log.open(begun.answer)
            self._go(run, model, wishes, begun.history)
            self.feed.publish(run.owner, Note("started", run.conversation_id, run.run_id))
        return begun

    def _go(self, run: Running, model: str, wishes: Wishes, history: tuple[Message, ...]) -> None:
        """The task that brings an answer, which the log has, to its end."""
        info = self._models.info(model)
        tools = None
        able = info.capabilities.tools or info.capabilities.schema_tools
        if self._toolbox is not None and wishes.tools is None and able:
            context = Context(run.owner, run.conversation_id, self._tool_services, asyncio.get_running_loop())
            tools = Tools(self._toolbox, self._store, context, lambda: self._writer.keep(run.run_id))
        target = Target(self._models.provider(model), info.name, info.label)
        request = Request(info.name, history, wishes.system, wishes.options, wishes.tools or ())
        asking = Asking(target, request, self._policy, info.capabilities.context, tools)
        self._running[run.run_id] = run
        self._writer.watch(run.run_id)
        agent = Agent(asking, lambda: self.log.snapshot(run.run_id).message)
        run.task = asyncio.create_task(self._work(run, agent.answer()), name=f"run {run.run_id}")

    async def _work(self, run: Running, source: AsyncGenerator[Event, None]) -> None:
        try:
            await produce(run, source, self.log, self._writer)
        finally:
            self._running.pop(run.run_id, None)
            self.feed.publish(run.owner, Note("ended", run.conversation_id, run.run_id))
