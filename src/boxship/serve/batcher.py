"""Merges requests that wait into one call to the model, and hands each its own rows.

It knows nothing of HTTP or of models. It never waits for company: a call starts
as soon as a slot is free, with whatever waits then.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Generic, TypeVar

from boxship.errors import OverloadedError, PredictionError

Batch = TypeVar("Batch")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Work(Generic[Batch, Result]):
    """What the batcher needs to know about batches.

    ``execute`` runs one; ``merge`` joins several into one, ``split`` cuts the
    answers of a merged batch by the rows of each.
    """

    execute: Callable[[Batch], Awaitable[Result]]
    merge: Callable[[Sequence[Batch]], Batch]
    split: Callable[[Result, Sequence[int]], Sequence[Result]]


@dataclass(frozen=True)
class Timing:
    """One call to the model: its rows, each request's wait, and the call itself, in seconds."""

    rows: int
    queue_s: tuple[float, ...]
    compute_s: float


@dataclass(eq=False)
class _Waiting(Generic[Batch, Result]):
    batch: Batch
    rows: int
    kind: Hashable
    future: asyncio.Future[Result]
    since: float


class Batcher(Generic[Batch, Result]):
    """A bounded queue before ``slots`` concurrent calls to the model."""

    def __init__(
        self,
        work: Work[Batch, Result],
        *,
        max_batch_size: int,
        max_queue_size: int,
        slots: int = 1,
        observe: Callable[[Timing], None] = lambda _: None,
    ) -> None:
        self._work = work
        self._max_batch_size = max_batch_size
        self._max_queue_size = max_queue_size
        self._free_slots = slots
        self._observe = observe
        self._queue: deque[_Waiting[Batch, Result]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, batch: Batch, rows: int, kind: Hashable) -> Result:
        """The answers to ``batch``. Only batches of one ``kind`` are merged.

        Raises ``OverloadedError`` where the queue is full, else what the model raises.
        """
        if len(self._queue) >= self._max_queue_size:
            raise OverloadedError(
                f"the queue is full: {self._max_queue_size} requests wait for the model"
            )
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(batch, rows, kind, future, perf_counter())
        self._queue.append(waiting)
        self._fill_slots()
        try:
            return await future
        except asyncio.CancelledError:
            # A caller that has gone must not keep another out of the queue.
            with suppress(ValueError):
                self._queue.remove(waiting)
            raise

    def _fill_slots(self) -> None:
        while self._free_slots and self._queue:
            chosen = self._cut()
            if not chosen:
                continue
            self._free_slots -= 1
            task = asyncio.get_running_loop().create_task(self._run(chosen))
            self._running.add(task)
            task.add_done_callback(self._release)

    def _release(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._free_slots += 1
        self._fill_slots()

    def _cut(self) -> list[_Waiting[Batch, Result]]:
        """The oldest request, and those right behind it that may share its call."""
        chosen: list[_Waiting[Batch, Result]] = []
        rows = 0
        while self._queue:
            head = self._queue[0]
            if head.future.done():
                # Its caller has gone: nobody would read the answer.
                self._queue.popleft()
                continue
            if chosen and (head.kind != chosen[0].kind or rows + head.rows > self._max_batch_size):
                break
            chosen.append(self._queue.popleft())
            rows += head.rows
        return chosen

    async def _run(self, chosen: list[_Waiting[Batch, Result]]) -> None:
        if len(chosen) > 1:
            try:
                merged = self._work.merge([waiting.batch for waiting in chosen])
                answers = await self._timed(merged, chosen)
                parts = self._work.split(answers, [waiting.rows for waiting in chosen])
                pairs = list(zip(chosen, parts, strict=True))
            except Exception:  # noqa: BLE001 (whose rows are at fault shows when each runs alone)
                for waiting in chosen:
                    await self._run_alone(waiting)
            else:
                for waiting, part in pairs:
                    if not waiting.future.done():
                        waiting.future.set_result(part)
        else:
            await self._run_alone(chosen[0])

    async def _run_alone(self, waiting: _Waiting[Batch, Result]) -> None:
        if waiting.future.done():
            return
        try:
            answers = await self._timed(waiting.batch, [waiting])
        except Exception as error:  # noqa: BLE001 (the caller gets it, whatever it is)
            if not waiting.future.done():
                waiting.future.set_exception(error)
        else:
            if not waiting.future.done():
                waiting.future.set_result(answers)

    async def _timed(self, batch: Batch, chosen: Sequence[_Waiting[Batch, Result]]) -> Result:
        started = perf_counter()
        try:
            answers = await self._work.execute(batch)
        except asyncio.CancelledError:
            # Something that the model itself waited for; its callers are to hear of it.
            raise PredictionError("what the model waited for was cancelled") from None
        self._observe(
            Timing(
                rows=sum(waiting.rows for waiting in chosen),
                queue_s=tuple(started - waiting.since for waiting in chosen),
                compute_s=perf_counter() - started,
            )
        )
        return answers
