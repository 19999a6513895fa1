"""Starts, follows and cancels answers. The run owns the answer: no page, socket or request does.

Knows the log, the store, the models and the tools by their protocols. Rules:

* ``start`` is idempotent per client message id: the same run, and one request to the provider.
* One answer at a time in a conversation, but for those to one question that stand side by side.
* Stop cancels the task, which closes the provider's connection; nothing polls a flag. Another worker's run is stopped
  by that worker. A run that waits for a decision has no task and is ended in the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from time import monotonic
from types import MappingProxyType

from streamchat.chat.events import QUEUED, Ending, Notice, Stopped
from streamchat.chat.messages import (
    FilePart,
    ImagePart,
    Message,
    NoticePart,
    Part,
    TextPart,
    close_open_calls,
    repair_surrogates,
)
from streamchat.chat.request import (
    MAX_COMPARED,
    STEERS,
    NewRun,
    Options,
    Request,
    RunOptions,
    compared_ids,
    is_temporary,
    is_unkept,
)
from streamchat.chat.timing import Stopwatch
from streamchat.chat.writes import End
from streamchat.errors import InvalidInput, NotFound, StillAnswering, StorageError, StreamchatError
from streamchat.liveness import STALE_SECONDS
from streamchat.logs import note_run
from streamchat.providers.base import ModelInfo, Resumable
from streamchat.runs.agent import Agent, Asking
from streamchat.runs.approvals import Decision, SuspendedRuns, always_of, decided
from streamchat.runs.attachments import with_contents, with_known_files
from streamchat.runs.coalesce import Arrival
from streamchat.runs.cut import cut_at
from streamchat.runs.log import Log, Snapshot
from streamchat.runs.notifications import Feed, Notification
from streamchat.runs.ownership import Elsewhere, Ended, Here, Holder, Nobody, WaitingForApproval
from streamchat.runs.persistence import Superseded, Writer
from streamchat.runs.ports import Begun, Models, Store, StoredAnswer
from streamchat.runs.queue import ITS_TURN, AnswerQueue, Ticket
from streamchat.runs.reader import FROM_SNAPSHOT, RunReader
from streamchat.runs.retries import Policy, target_of
from streamchat.runs.run_locks import RunLocks
from streamchat.runs.run_task import ActiveRun, StorePictures, drive
from streamchat.runs.steering import told_after, waits_for
from streamchat.runs.takeover import Budget, ending_of_orphan, has_begun_tools, seam
from streamchat.runs.tool_rounds import Tools
from streamchat.runs.unkept import Unkept
from streamchat.runs.upstream import Checkpoint, Upstream
from streamchat.tools.tool_context import Context, Services
from streamchat.tools.toolbox import Toolbox

# Of answers that wait for an approval; the times of older ones are not known when they continue.
MAX_WATCHES = 1000
MAX_MESSAGE_CHARS = 200_000
# Time for another worker to end a run; pause before it is asked again.
# Longer than a process may be silent, so that a run whose process is gone is stopped too.
STOP_SECONDS, STOP_AGAIN_SECONDS = STALE_SECONDS + 2, 1.0
# Time for a run that is being stored to get its task.
START_SECONDS = 1.0
# Turns of the loop after which the task of an answer has sent its request, if nothing makes it wait.
STEPS_TO_ASK = 6
# Pause between two reads of the database meanwhile, if there is no log of the run here.
STOP_LOOK_SECONDS = 0.2
# Time for the last entries to reach other workers, when this one ends.
RELEASE_SECONDS = 1.0
# Added to the seq of an answer whose row may have less of it than its readers.
LOST = 1_000_000
logger = logging.getLogger(__name__)


class RunService:
    """The runs of one process, and access to those of others."""

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
        budget: Budget = Budget(),  # noqa: B008 frozen
        queue: AnswerQueue | None = None,
        models_of: Callable[[str], Awaitable[Models]] | None = None,
        store_pictures: StorePictures | None = None,
    ) -> None:
        """Create a service.

        ``models_of``: the models of an owner, looked up once for a run; by default everybody has ``models``. It may
        raise ``StorageError``. ``toolbox``: ``None`` without tools. ``tool_services``: what tools may use of the
        program. ``ask_stop``: tells the other workers to stop a run; ``None`` without other workers. ``budget``: of
        continuing answers of processes that are gone. ``queue``: of answers at once; ``None`` without a limit.
        ``store_pictures``: by default the results of tools keep theirs.
        """
        self.log = log
        self.feed = feed
        self._store = store
        self._models_of = models_of or same_for_all(models)
        self._writer = writer
        self._policy = policy
        self._worker = worker
        self._toolbox = toolbox
        self._tool_services = tool_services
        self._ask_stop = ask_stop
        self._budget = budget
        self.queue = queue or AnswerQueue()
        self._suspended = SuspendedRuns(store, log, worker)
        self.unkept = Unkept(store)
        self._locks = RunLocks()
        self._running: dict[str, ActiveRun] = {}
        self._closing = False
        self._store_pictures = store_pictures
        self._watches: dict[str, Stopwatch] = {}
        self.on_ended: Callable[[ActiveRun], None] = lambda run: None
        self._cancellations: set[asyncio.Task[None]] = set()
        self.measure: Callable[[Message, str, Stopwatch | None], None] | None = None
        """Called with each answer after its ending here, its conversation, and its times if they are known."""
        self.takeovers = 0
        """Runs of processes that were gone, which this one became the owner of."""
        writer.on_lost = self.abandon

    async def start(self, owner: str, new: NewRun, told: Notice | None = None) -> Begun:
        """Start an answer, with the notice ``told`` as its first entry. A message in the queue follows in its turn.

        Raises ``InvalidInput``, ``NotFound``, ``StorageError``.
        """
        watch = Stopwatch(monotonic())
        catalog = await self._models_of(owner)
        new = await self._checked(owner, new, catalog, [])
        beginning = self._store.begin(owner, new, worker=self._worker, exclusive=not new.queued)
        launch = self._launch(
            *(owner, new.client_message_id, beginning, catalog, new.model, watch), titled=new.inherit, told=told
        )
        return await self._locks.shielded(launch)

    async def compare(self, owner: str, new: NewRun, models: Sequence[str]) -> list[Begun]:
        """Start an answer by each of these models to one question, side by side. Raises as ``start``.

        All are stored at once, or none is. They count as one answer until one of them is kept.
        """
        now = monotonic()
        check_models(models)
        catalog = await self._models_of(owner)
        new = await self._checked(owner, replace(new, model=models[0]), catalog, models)
        if not new.parts:
            raise InvalidInput("The message is empty.")
        return await self._locks.shielded(self._launch_all(owner, new, catalog, models, now))

    async def _launch_all(
        self, owner: str, new: NewRun, catalog: Models, models: Sequence[str], now: float
    ) -> list[Begun]:
        begun = await self._store.begin_compared(owner, new, models, worker=self._worker, exclusive=True)
        keys = compared_ids(new.client_message_id, len(models))
        # Those that a repeated request finds may be fewer, if it names more models.
        for index, (stored, key, model) in enumerate(zip(begun, keys, models, strict=False)):
            self._launch_stored(owner, key, stored, catalog, model, Stopwatch(now), titled=new.inherit and not index)
        await self._announce(owner, begun)
        return list(begun)

    async def _checked(self, owner: str, new: NewRun, catalog: Models, models: Sequence[str]) -> NewRun:
        """Return a question whose parts, model and history can be stored. ``models``: those that answer beside it."""
        parts = check_message(new.parts) if new.parts or not new.prefix else []
        temporary = new.temporary or is_temporary(new.conversation_id or new.parent_id)
        parts = await with_known_files(self._store, owner, parts, temporary=temporary)
        check_client_id(new.client_message_id)
        if new.model == "":
            new = replace(new, model=await self._model_of(owner, new) or catalog.default)
        for model in models or [new.model]:
            check_search(catalog.info(model), new.options)
            if new.strict:
                check_options(catalog.info(model), new.options.options)
        if new.conversation_id and not new.queued:
            await self._check_free(owner, new.conversation_id, new.client_message_id)
        history = [replace(message, parts=close_open_calls(message.parts)) for message in new.history]
        return replace(new, parts=parts, history=history, prefix=close_open_calls(new.prefix))

    async def _model_of(self, owner: str, new: NewRun) -> str:
        """Return the model of the conversation, ``""`` for a new conversation."""
        if new.conversation_id or new.parent_id:
            return await self._store.model_of(owner, new.conversation_id, new.parent_id)
        return ""

    async def retry(
        self,
        owner: str,
        *,
        message_id: str,
        client_message_id: str,
        model: str,
        continue_partial: bool,
        after: int | None = None,
        credential: str = "",
    ) -> Begun:
        """Start a sibling of an answer; with ``continue_partial`` it begins with the old parts. Raises as ``start``.

        ``after``: it begins with the parts that the old answer had after this entry of its log.
        Of answers that stand side by side, the others may be in progress.
        """
        watch = Stopwatch(monotonic())
        check_client_id(client_message_id)
        models = await self._models_of(owner)
        models.info(model)
        old = await self._store.answer(owner, message_id)
        beside = await self._store.compared_with(owner, message_id)
        prefix = [] if after is None else await self._parts_after(owner, message_id, after, client_message_id)
        await self._check_free(owner, old.conversation_id, client_message_id, beside)
        beginning = self._store.begin_again(
            owner,
            message_id=message_id,
            client_message_id=client_message_id,
            model=model,
            worker=self._worker,
            continue_partial=continue_partial,
            prefix=prefix,
            exclusive=True,
            credential=credential,
        )
        return await self._locks.shielded(self._launch(owner, client_message_id, beginning, models, model, watch))

    async def _parts_after(self, owner: str, run_id: str, seq: int, client_message_id: str) -> Sequence[Part]:
        """Return what an answer that begins after this entry of another one begins with."""
        if await self._store.known(owner, client_message_id):
            return []
        parts = close_open_calls((await cut_at(self, owner, run_id, seq)).message.parts)
        return (*parts, NoticePart("forked", "Continued from here, by another answer.", {"run_id": run_id, "seq": seq}))

    async def decide(self, owner: str, run_id: str, call_id: str, decision: Decision) -> None:
        """Apply a decision to a call that needs approval. Raises ``NotFound``, ``InvalidInput``, ``StorageError``."""
        await self._locks.shielded(self._decide(owner, run_id, call_id, decision))

    async def _decide(self, owner: str, run_id: str, call_id: str, decision: Decision) -> None:
        async with self._locks.lock(run_id):
            match await self.holder_of(owner, run_id):
                case Here(run) if run.task and run.ending:
                    await asyncio.wait([run.task])  # it is about to wait
                case _:
                    pass
            stored = await self._store.answer(owner, run_id)
            models = await self._models_of(owner)
            models.info(stored.message.model)
            history = await self._store.question_branch(owner, run_id)
            stored, message = await self._suspended.change(
                owner, run_id, lambda message: decided(message, call_id, decision, self._toolbox)
            )
            try:
                if names := always_of(message, call_id, decision):
                    await self._store.choose(owner, stored.conversation_id, always=names)
            finally:
                if message.status == "streaming":
                    resumed = ActiveRun(run_id, owner, stored.conversation_id, "", stored.epoch + 1)
                    resumed.watch = self._watches.pop(run_id, None)
                    resumed.question = history[0] if len(history) == 1 else None
                    options = RunOptions.from_json(stored.request)
                    self._start_task(resumed, models, message.model, options, history, stored.seq + 1)
                self.feed.publish(owner, Notification("started", stored.conversation_id, run_id))

    async def holder_of(self, owner: str, run_id: str) -> Holder:
        """Return who may write the next entry of a run now. Raises ``NotFound``, ``StorageError``."""
        if (run := self._running.get(run_id)) and run.owner == owner:
            return Here(run)
        stored = await self._store.answer(owner, run_id)
        if run := self._running.get(run_id):  # it started here meanwhile
            return Here(run)
        if stored.message.ended or self._ended_in_log(run_id):
            return Ended()
        if stored.message.status == "waiting":
            return WaitingForApproval()
        if self._ask_stop is None or stored.worker == self._worker:
            return Nobody()
        return Elsewhere(stored.worker)

    def _ended_in_log(self, run_id: str) -> bool:
        """Return whether the log has an ending, which the store may not have yet."""
        try:
            return self.log.snapshot(run_id).message.ended
        except NotFound:
            return False

    async def cancel(self, owner: str, run_id: str) -> None:
        """Stop a run, and wait for its ending. No effect on one that has ended.

        Raises ``NotFound``, and ``StreamchatError`` if another worker does not end it in time.
        """
        waited = False
        while True:
            match await self.holder_of(owner, run_id):
                case Here(run):  # then it has ended, or waits for an approval
                    self.stop_local(run_id)
                    if run.task:
                        await asyncio.wait([run.task])
                case WaitingForApproval():
                    if await self._locks.shielded(self._end_waiting(owner, run_id)):
                        return  # otherwise a decision came first
                case Elsewhere():
                    return await self._stop_elsewhere(owner, run_id)
                case Nobody() if not waited:  # its task may be about to begin here
                    await self._locks.drain(START_SECONDS)
                    waited = True
                case Nobody():
                    await self._locks.shielded(self._stop_orphan(owner, run_id, silent_for=None))
                    return
                case Ended():
                    return

    async def _stop_elsewhere(self, owner: str, run_id: str) -> None:
        """Ask the worker that owns it, and wait for its ending. Raises ``StreamchatError`` if it does not end."""
        assert self._ask_stop is not None
        reader = RunReader(self, owner, run_id, FROM_SNAPSHOT, heartbeat=STOP_LOOK_SECONDS)
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            async with asyncio.timeout(STOP_SECONDS), aclosing(reader.batches()) as batches:
                while not reader.ended:
                    if loop.time() >= due:
                        # Its worker may be gone: then whoever is first stops it.
                        await self._locks.shielded(self._stop_orphan(owner, run_id, silent_for=STALE_SECONDS))
                        self._ask_stop(run_id)
                        due = loop.time() + STOP_AGAIN_SECONDS
                    await anext(batches, None)
        except TimeoutError:
            message = "This answer is written by another process of the server, which does not respond. Try again."
            raise StreamchatError(message, kind="not-stopped") from None

    async def _stop_orphan(self, owner: str, run_id: str, *, silent_for: float | None) -> None:
        """End a run as *stopped* whose process is gone. ``silent_for``: only without a heartbeat for so long."""
        stored = await self._store.answer(owner, run_id)
        claimed = await self._store.claim(
            run_id, worker=self._worker, epoch=stored.epoch, silent_for=silent_for, continues=False
        )
        if claimed is not None:
            await self._end_claimed(claimed, await self._adopt(claimed, complete=not stored.worker), Stopped())

    async def take_over(
        self, run_id: str, epoch: int, *, silence: float, silent_for: float = STALE_SECONDS, released: bool = False
    ) -> bool:
        """Continue a run whose process is gone, or end it as *interrupted* if it is beyond the budget.

        ``epoch``: of its former owner. ``silence``: seconds since its last heartbeat, ``silent_for`` at least.
        ``released``: its owner gave it up with everything stored. Returns whether this process became its owner.
        Raises ``StorageError``.
        """
        return await self._locks.shielded(self._take_over(run_id, epoch, silence, silent_for, released))

    async def _take_over(self, run_id: str, epoch: int, silence: float, silent_for: float, released: bool) -> bool:
        async with self._locks.lock(run_id):
            if run_id in self._running or self._closing:
                return False
            stored = await self._store.claim(
                run_id, worker=self._worker, epoch=epoch, silent_for=silent_for, continues=not released
            )
            if stored is None:
                return False
            self.takeovers += 1
            start = await self._adopt(stored, complete=released)
            if self._budget.allows(start.message, stored.takeovers, silence) and not start.message.ended:
                await self._continue(stored, start)
            else:
                await self._end_claimed(stored, start, ending_of_orphan())
            return True

    async def _adopt(self, stored: StoredAnswer, *, complete: bool) -> Snapshot:
        """Make this process the writer of the log of a claimed run. ``complete``: its row has all of the answer."""
        row = Snapshot(stored.seq, stored.message)
        start = await self.log.take_over(row, stored.epoch)
        if start is None:  # readers may have seen more than the row has: they get a snapshot with an unused seq
            start = row if complete else Snapshot(row.seq + LOST, row.message)
        self.log.resume(start, stored.epoch)
        return start

    async def _continue(self, stored: StoredAnswer, start: Snapshot) -> None:
        run = ActiveRun(stored.run_id, stored.owner, stored.conversation_id, "", stored.epoch)
        try:
            models = await self._models_of(stored.owner)
            info = models.info(start.message.model)
            history = await self._store.question_branch(stored.owner, stored.run_id)
        except (NotFound, InvalidInput) as error:  # a model that this process does not have
            logger.warning("run %s cannot be continued: %s", stored.run_id, error)
            await self._end_claimed(stored, start, ending_of_orphan())
            return
        checkpoint = Checkpoint.from_json(stored.upstream)
        if checkpoint is not None and has_begun_tools(start.message, checkpoint.parts):
            checkpoint = None
        if checkpoint is None:  # otherwise there is a seam only if the response cannot be read on
            for event in seam(start.message, info.label):
                self.log.append(run.run_id, event)
        options = RunOptions.from_json(stored.request)
        more = {"decided": False, "checkpoint": checkpoint}
        self._start_task(run, models, start.message.model, options, history, stored.seq, **more)
        self.feed.publish(run.owner, Notification("started", run.conversation_id, run.run_id))

    async def _end_claimed(self, stored: StoredAnswer, start: Snapshot, ending: Ending) -> None:
        """Store the ending of a claimed run, then tell its readers. Its provider ends the response that it stores."""
        if checkpoint := Checkpoint.from_json(stored.upstream):
            with suppress(StorageError):
                models = await self._models_of(stored.owner)
                self._cancel_response(models, start.message.model, checkpoint.response_id)
        if start.message.ended:  # the former owner told its readers before it could store it
            await self._store.write(ends=[End(start.message, start.seq, stored.epoch)])
        else:
            self._writer.watch(stored.run_id, stored.epoch, stored.seq)
            try:
                await self._writer.end(stored.run_id, ending)
            except Superseded:
                self.abandon(stored.run_id)
                return
            self.log.append(stored.run_id, ending)
        self._report(stored.run_id, stored.conversation_id)
        self.feed.publish(stored.owner, Notification("ended", stored.conversation_id, stored.run_id))

    async def _end_waiting(self, owner: str, run_id: str) -> bool:
        async with self._locks.lock(run_id):
            if stored := await self._suspended.stop(owner, run_id):
                self._report(run_id, stored.conversation_id, self._watches.pop(run_id, None))
                self._delete_unkept(owner, stored.conversation_id, run_id)
                self.feed.publish(owner, Notification("ended", stored.conversation_id, run_id))
        return stored is not None

    async def stop(self, owner: str, conversation_id: str) -> None:
        """Stop every answer in progress in a conversation, whoever owns it. Raises as ``cancel``."""
        here = [run.run_id for run in self.running(owner, conversation_id)]
        await asyncio.gather(*(self.cancel(owner, run_id) for run_id in here))
        rows = [row for row in await self._store.answering(owner) if row.conversation_id == conversation_id]
        await asyncio.gather(*(self.cancel(owner, row.run_id) for row in rows))

    async def stop_seen(self, owner: str, run_ids: Iterable[str], *, waiting_only: bool = False) -> None:
        """Stop the answers that a person saw when they pressed Stop, whoever owns them.

        Others go on: a message that follows one of these is answered as soon as it has stopped. Those that are gone are
        left out. ``waiting_only``: only those that still wait for an approval. Raises as ``cancel``.
        """

        async def stop(run_id: str) -> None:
            with suppress(NotFound):
                if waiting_only:
                    await self._locks.shielded(self._end_waiting(owner, run_id))
                else:
                    await self.cancel(owner, run_id)

        await asyncio.gather(*map(stop, run_ids))

    async def keep(self, owner: str, message_id: str) -> str:
        """Show the branch of a message. Answers in progress that stand beside it are stopped first.

        Returns its conversation. Raises as ``cancel``.
        """
        others = [one for one in await self._store.compared_with(owner, message_id) if one != message_id]
        await asyncio.gather(*(self.cancel(owner, run_id) for run_id in others))
        return await self._store.select_branch(owner, message_id)

    def stop_local(self, run_id: str) -> None:
        """Stop a run if this process owns it; its ending follows."""
        run = self._running.get(run_id)
        if run is not None and run.stop_requested_at is None and not run.ending:
            run.stop_requested_at = asyncio.get_running_loop().time()
            run.cancel()

    def abandon(self, run_id: str) -> None:
        """Give up a run that another worker owns now: close the provider's stream, write nothing more."""
        self._writer.forget(run_id)
        if run := self._running.get(run_id):
            run.superseded = True
            run.cancel()
        self.log.drop(run_id)

    async def get(self, owner: str, run_id: str) -> tuple[str, Snapshot]:
        """Return the conversation of a run, and its answer so far, live or stored. Raises ``NotFound``."""
        conversation_id = await self.conversation_of(owner, run_id)
        try:
            await self.log.attach(run_id)
            return conversation_id, self.log.snapshot(run_id)
        except NotFound:
            stored = await self._store.answer(owner, run_id)
            return stored.conversation_id, Snapshot(stored.seq, stored.message)

    async def conversation_of(self, owner: str, run_id: str) -> str:
        """Return the conversation of a run: the proof that it is this owner's. Raises ``NotFound``."""
        run = self._running.get(run_id)  # written here: no need to ask the database
        return run.conversation_id if run and run.owner == owner else await self._store.conversation_of(owner, run_id)

    def running(self, owner: str, conversation_id: str | None = None) -> list[ActiveRun]:
        """Return this owner's runs in this process, in one conversation or in all."""
        mine = [run for run in self._running.values() if run.owner == owner]
        return [run for run in mine if conversation_id in (None, run.conversation_id)]

    def active(self, run_id: str) -> ActiveRun | None:
        """Return the run with this id if it has a task in this process."""
        return self._running.get(run_id)

    @property
    def active_count(self) -> int:
        """The number of runs that have a task in this process. May be read in any thread."""
        return len(self._running)

    def active_ids(self) -> list[str]:
        """The ids of all runs that this process answers for: it runs their task, or has yet to store their ending."""
        return [*self._running, *self._writer.unsaved_ids()]

    async def close(self, patience: float = 5.0) -> None:
        """End every run, its partial answer stored, within ``patience`` seconds.

        If the budget allows continuing, they are given up without an ending for another process, or for the next start
        of this one; otherwise they end as *interrupted*.
        """
        self._closing = True
        await self._locks.drain(patience / 5)
        runs = list(self._running.values())
        for run in runs:
            run.handing_over = self._budget.tries > 0
            run.cancel()
        if tasks := [run.task for run in runs if run.task]:
            await asyncio.wait(tasks, timeout=patience)
        try:
            await self._release([run for run in runs if run.handed_over])
        except StorageError as error:
            logger.warning("answers are given up without their last words: %s", error)
        if self._cancellations:
            await asyncio.wait(self._cancellations, timeout=patience)
        await self.unkept.close(patience)

    async def _release(self, runs: Sequence[ActiveRun]) -> None:
        if runs:
            await self._writer.flush()
            for run in runs:
                self._writer.forget(run.run_id)
            await self.log.flush(RELEASE_SECONDS)
            await self._store.release([(run.run_id, run.epoch) for run in runs])
        for run in runs:
            self.feed.publish(run.owner, Notification("released", run.conversation_id, run.run_id))
            self.log.drop(run.run_id)

    async def _check_free(
        self, owner: str, conversation_id: str, client_message_id: str, beside: Sequence[str] = ()
    ) -> None:
        """Raise ``StillAnswering`` if another answer is in progress here, unless this one exists already.

        ``beside``: answers that do not count.
        """
        others = any(
            run.client_message_id != client_message_id and run.run_id not in beside
            for run in self.running(owner, conversation_id)
        )
        if others and not await self._store.known(owner, client_message_id):
            raise StillAnswering

    async def _launch(
        self,
        owner: str,
        key: str,
        beginning: Awaitable[Begun],
        models: Models,
        model: str,
        watch: Stopwatch,
        *,
        titled: bool = True,
        told: Notice | None = None,
    ) -> Begun:
        """Start the task of an answer that was stored. ``titled``: it may get a title by a model."""
        stored = await beginning
        self._launch_stored(owner, key, stored, models, model, watch, titled=titled, told=told)
        await self._announce(owner, [stored])
        return stored

    async def _announce(self, owner: str, begun: Sequence[Begun]) -> None:
        """Notify the readers, whose work would keep the tasks from asking their providers."""
        for _ in range(STEPS_TO_ASK):
            await asyncio.sleep(0)
        for stored in begun:
            if stored.created:
                self.feed.publish(owner, Notification("started", stored.conversation_id, stored.run_id))

    def _launch_stored(
        self,
        owner: str,
        key: str,
        stored: Begun,
        models: Models,
        model: str,
        watch: Stopwatch,
        *,
        titled: bool,
        told: Notice | None = None,
    ) -> None:
        if stored.created:
            run = ActiveRun(stored.run_id, owner, stored.conversation_id, key, watch=watch, begun=stored)
            run.question = stored.user if titled and len(stored.history) == 1 else None
            self.log.open(stored.answer, [told] if told else [])
            if notice := _left_out(models.info(model), stored.options.options):
                self.log.append(run.run_id, notice)
            self._start_task(run, models, model, stored.options, stored.history)

    def _start_task(
        self,
        run: ActiveRun,
        models: Models,
        model: str,
        options: RunOptions,
        history: tuple[Message, ...],
        seq: int = 0,
        *,
        decided: bool = True,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        """Start the task that completes an answer that the log has. ``models``: those of its owner.

        ``seq``: that of its row. ``decided``: its calls that are ready need no approval. ``checkpoint``: of the
        response that is to be read on.
        """
        models.info(model)  # raises before anything is begun
        current, cancel = lambda: self.log.snapshot(run.run_id).message, partial(self._cancel_response, models, model)
        if not is_temporary(run.run_id):  # of a temporary chat nothing is stored, at the provider neither
            run.upstream = Upstream(current, partial(self._writer.note_upstream, run.run_id), cancel, checkpoint)
        make = partial(self._agent, run, models, model, options, current=current, decided=decided)
        self._running[run.run_id] = run
        self._writer.watch(run.run_id, run.epoch, seq)
        if before := next((one for one in reversed(history) if one.role == "assistant" and not one.ended), None):
            source = self._following(run, before.id, make)
        else:
            source = self._in_turn(run, make(history=history))
        run.task = asyncio.create_task(self._work(run, source), name=f"run {run.run_id}")

    def _agent(
        self,
        run: ActiveRun,
        models: Models,
        model: str,
        options: RunOptions,
        *,
        history: tuple[Message, ...],
        current: Callable[[], Message],
        decided: bool,
    ) -> Agent:
        info = models.info(model)
        tools = None
        able = info.capabilities.tools or info.capabilities.schema_tools
        if self._toolbox is not None and options.tools is None and able:
            context = Context(run.owner, run.conversation_id, self._tool_services, asyncio.get_running_loop())
            keep, confirm = partial(self._writer.keep, run.run_id), partial(self._writer.confirm, run.run_id)
            at_first = run.begun.choices if run.begun else None
            tools = Tools(self._toolbox, self._store, context, keep, confirm, at_first)
        target = target_of(models, model)
        request = Request(
            *(info.name, history, options.system, options.options, options.tools or (), run.watch),
            conversation_id=run.conversation_id,
            run_id=run.run_id,
        )
        can = info.capabilities
        attach = partial(with_contents, self._store, run.owner, can=can)
        steered = partial(self._store.steered, run.run_id)
        asking = Asking(target, request, self._policy.within(models), can.context, tools, attach, steered)
        joint = partial(seam, label=info.label)
        return Agent(asking, current, decided=decided, upstream=run.upstream, seam=joint)

    def _in_turn(self, run: ActiveRun, agent: Agent) -> AsyncGenerator[Arrival, None]:
        """Return the events of an answer: with its place in line first, if it has to wait for one in this process."""
        ticket = run.ticket = self.queue.enter(run.owner)
        return agent.answer() if ticket.place == ITS_TURN else _in_line(ticket, agent)

    async def _following(
        self, run: ActiveRun, before: str, make: Callable[..., Agent]
    ) -> AsyncGenerator[Arrival, None]:
        """Yield an answer once the one before it, of whatever process, has ended: that is part of its history."""
        yield Arrival(waits_for(before), monotonic())
        joined = monotonic()
        with suppress(NotFound):  # it was deleted
            async with aclosing(RunReader(self, run.owner, before, FROM_SNAPSHOT).batches()) as batches:
                async for _ in batches:
                    pass
        history = await self._store.question_branch(run.owner, run.run_id)
        if not history or history[-1].role != "user":
            raise InvalidInput("Its question was deleted while it waited.")
        steers = bool((await self._store.answer(run.owner, run.run_id)).request.get(STEERS))
        run.watch = Stopwatch(monotonic())  # what it waited is not how long the model took
        ended = next((one for one in history if one.id == before), None)
        yield Arrival(told_after(before, ended, monotonic() - joined, steers=steers), monotonic())
        async with aclosing(self._in_turn(run, make(history=history))) as arrivals:
            async for arrival in arrivals:
                yield arrival

    async def _work(self, run: ActiveRun, source: AsyncGenerator[Arrival, None]) -> None:
        note_run(run.run_id)
        try:
            await drive(run, source, self.log, self._writer, self._store_pictures)
        finally:
            if run.ticket:
                self.queue.leave(run.ticket)
            if run.upstream and not (run.handed_over or run.superseded):
                run.upstream.abandon()  # the answer ended before it did
            self._running.pop(run.run_id, None)
            self._keep_watch(run)
            self._report(run.run_id, run.conversation_id, run.watch)
            self.on_ended(run)
            self._delete_unkept(run.owner, run.conversation_id, run.run_id)
            self.feed.publish(run.owner, Notification("ended", run.conversation_id, run.run_id))

    def _delete_unkept(self, owner: str, conversation_id: str, run_id: str) -> None:
        """Delete a chat that is not kept, if its answer has ended."""
        if is_unkept(run_id):
            with suppress(NotFound):
                message = self.log.snapshot(run_id).message
                if message.ended:
                    self.unkept.ended(owner, conversation_id, message)

    def _cancel_response(self, models: Models, model: str, response_id: str) -> None:
        """Have the provider end a response that it stores, in the background."""
        with suppress(NotFound, InvalidInput):
            if isinstance(provider := models.provider(model), Resumable):
                task = asyncio.create_task(provider.cancel(response_id), name=f"cancel {response_id}")
                self._cancellations.add(task)
                task.add_done_callback(self._cancellations.discard)

    def _report(self, run_id: str, conversation_id: str, watch: Stopwatch | None = None) -> None:
        """Tell whoever measures answers that one has ended, if it has."""
        if self.measure is None:
            return
        try:
            message = self.log.snapshot(run_id).message
            if message.ended:
                self.measure(message, conversation_id, watch)
        except NotFound:  # another process owns it
            pass
        except Exception:
            logger.exception("run %s was not measured", run_id)

    def _keep_watch(self, run: ActiveRun) -> None:
        """Keep the watch of an answer that waits for an approval, for when it continues in this process."""
        if run.watch is not None and run.watch.waits:
            self._watches[run.run_id] = run.watch
            if len(self._watches) > MAX_WATCHES:
                del self._watches[next(iter(self._watches))]


def same_for_all(models: Models) -> Callable[[str], Awaitable[Models]]:
    """Return what looks up the models of an owner if everybody has these."""

    async def models_of(owner: str) -> Models:
        return models

    return models_of


async def _in_line(ticket: Ticket, agent: Agent) -> AsyncGenerator[Arrival, None]:
    """Yield the place in line until it is this answer's turn, then the answer."""
    joined = monotonic()
    while place := await ticket.next_place():
        yield Arrival(Notice(QUEUED, f"Waiting: {ordinal(place)} in line.", {"place": place}), monotonic())
    waited = monotonic() - joined
    data = {"place": ITS_TURN, "seconds": round(waited, 1)}
    yield Arrival(Notice(QUEUED, f"Waited {max(1, round(waited))} s for its turn.", data), monotonic())
    async with aclosing(agent.answer()) as arrivals:
        async for arrival in arrivals:
            yield arrival


def ordinal(number: int) -> str:
    """Return ``1st``, ``2nd``, ``3rd``, ``4th`` …"""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def check_search(model: ModelInfo, options: RunOptions) -> None:
    """Raise ``InvalidInput`` if a model is to search the web whose vendor has no search."""
    if options.options.web_search and not model.capabilities.web_search:
        raise InvalidInput(f"{model.label} has no web search of its own. Switch it off, or choose another model.")


def check_options(model: ModelInfo, options: Options, names: Mapping[str, str] = MappingProxyType({})) -> None:
    """Raise ``InvalidInput`` for the first option that the model would not get. ``names``: the client's for ours."""
    for name in model.capabilities.unsent(options):
        beside = [one for one, left_out in model.capabilities.excludes if left_out == name and getattr(options, one)]
        if name not in model.capabilities.refuses and beside:
            why = f"cannot be combined with {names.get(beside[0], beside[0])} by {model.label}"
        else:
            why = f"{model.label} does not support it"
        raise InvalidInput(f"{names.get(name, name)}: {why}. Leave it out, or choose another model.")


def _left_out(model: ModelInfo, options: Options) -> Notice | None:
    """Return what tells the reader of options that the model does not take, ``None`` if it takes all of them."""
    unsent = model.capabilities.unsent(options)
    if not unsent:
        return None
    what = ", ".join(name.replace("_", " ") for name in unsent)
    return Notice("options", f"Left out, because {model.label} does not take it: {what}.", {"options": list(unsent)})


def check_models(models: Sequence[str]) -> None:
    """Raise ``InvalidInput`` unless these are two models or more that can be compared."""
    if not 2 <= len(models) <= MAX_COMPARED or len(set(models)) < len(models):
        raise InvalidInput(f"A comparison needs 2 to {MAX_COMPARED} different models.")


def check_message(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with repaired surrogates. Raises ``InvalidInput`` for an empty or an oversized message."""
    if not any(isinstance(p, ImagePart | FilePart) or (isinstance(p, TextPart) and p.text.strip()) for p in parts):
        raise InvalidInput("The message is empty.")
    if sum(len(p.text) for p in parts if isinstance(p, TextPart | FilePart)) > MAX_MESSAGE_CHARS:
        raise InvalidInput(f"The message is longer than {MAX_MESSAGE_CHARS:,} characters. Please shorten it.")
    return [replace(p, text=repair_surrogates(p.text)) if isinstance(p, TextPart | FilePart) else p for p in parts]


def check_client_id(client_message_id: str) -> None:
    """Check the length of a client message id. Raises ``InvalidInput``."""
    if not isinstance(client_message_id, str) or not 1 <= len(client_message_id) <= 100:
        raise InvalidInput("A message needs a client id of 1 to 100 characters.")
