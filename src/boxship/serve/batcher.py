"""Merges requests that wait into one call to the model, and hands each its own rows.

It knows nothing of HTTP or of models. A call starts as soon as a slot is free, with
whatever has arrived by then; it waits for company only where company is expected.
What nobody needs any more is not computed, and what would come too late is refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Generic

from boxship.errors import PredictionError, RequestError
from boxship.serve.admission import Admission
from boxship.serve.costs import Costs
from boxship.serve.deadlines import Deadlines
from boxship.serve.lane import Batch, Call, Lane, Reply, Result, Waiting


@dataclass(frozen=True, kw_only=True)
class Work(Generic[Batch, Result]):
    """What the batcher needs to know about batches.

    ``execute`` runs one; ``merge`` joins several into one, ``split`` cuts the
    answers of a merged batch by the rows of each. ``execute_large`` runs the batches
    of the large lane, where there is one, ``execute_crowded`` the others while requests are
    refused; without them ``execute`` does.
    """

    execute: Callable[[Batch], Awaitable[Result]]
    merge: Callable[[Sequence[Batch]], Batch]
    split: Callable[[Result, Sequence[int]], Sequence[Result]]
    execute_large: Callable[[Batch], Awaitable[Result]] | None = None
    execute_crowded: Callable[[Batch], Awaitable[Result]] | None = None


@dataclass(frozen=True)
class Timing:
    """One call to the model: its rows, each request's wait, and the call itself, in seconds."""

    rows: int
    queue_s: Sequence[float]
    compute_s: float


@dataclass(eq=False, slots=True)
class _Answers(Generic[Batch, Result]):
    """What a call gave, a part for each request, still to be handed out."""

    requests: Sequence[Waiting[Batch, Result]]
    parts: Sequence[Result]
    rows: int
    started: float
    compute_s: float


class Batcher(Generic[Batch, Result]):
    """A bounded queue before ``slots`` concurrent calls to the model.

    A request of more than ``max_batch_size`` rows is called alone; with ``large_slots`` it
    waits and runs in a lane of its own. ``max_queue_delay_s`` is the longest that a request
    waits for company while a slot is free. ``costs`` may know something from warm-up.
    """

    def __init__(
        self,
        work: Work[Batch, Result],
        *,
        max_batch_size: int,
        max_queue_size: int,
        max_queue_delay_s: float = 0.0,
        slots: int = 1,
        large_slots: int = 0,
        costs: Costs | None = None,
        observe: Callable[[Timing], None] = lambda _: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.costs = Costs() if costs is None else costs
        self._work = work
        self._max_batch_size = max_batch_size
        self._max_queue_delay_s = max_queue_delay_s
        self._observe = observe
        self._clock = clock
        self._usual = Lane(work.execute, self.costs, slots=slots, max_batch_size=max_batch_size)
        self._large = Lane(
            work.execute_large or work.execute,
            self.costs,
            slots=large_slots,
            max_batch_size=max_batch_size,
        )
        self._lanes = (self._usual, self._large)
        self._draining = False
        self._admission = Admission(self._lanes, max_queue_size, clock)
        self._deadlines = Deadlines(self._lanes, clock)

    async def submit(
        self,
        batch: Batch,
        rows: int,
        kind: Hashable,
        *,
        deadline: float | None = None,
        gone: Callable[[], bool] | None = None,
    ) -> Result:
        """The answers to ``batch``. Only batches of one ``kind`` are merged.

        ``deadline`` is a time of the clock, ``time.monotonic`` by default; ``gone`` tells
        whether the client has gone, and is asked only once the request has had to wait.

        Raises ``OverloadedError`` where the queue is full or the answer would come after the
        deadline, ``TimeoutExpiredError`` at the deadline whether the
        request waits or runs, ``CallerGoneError``, else what the model raises.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        lane, request = self._taken(batch, rows, kind, future, deadline=deadline, gone=gone)
        try:
            return await future
        except asyncio.CancelledError:
            lane.remove(request)
            raise

    def enqueue(
        self,
        batch: Batch,
        rows: int,
        kind: Hashable,
        reply: Reply[Result],
        *,
        deadline: float | None = None,
        gone: Callable[[], bool] | None = None,
    ) -> None:
        """Like ``submit``, for those who want to be told at once and not in the next pass.

        A refusal is raised; ``reply`` hears everything else.
        """
        self._taken(batch, rows, kind, reply, deadline=deadline, gone=gone)

    def _taken(
        self,
        batch: Batch,
        rows: int,
        kind: Hashable,
        reply: Reply[Result],
        *,
        deadline: float | None,
        gone: Callable[[], bool] | None,
    ) -> tuple[Lane[Batch, Result], Waiting[Batch, Result]]:
        now = self._clock()
        if refusal := self.refusal(rows, deadline):
            raise refusal.with_traceback(None)
        lane = self._lane(rows)
        first_cut = lane.cuts if lane.free else -1
        request: Waiting[Batch, Result] = Waiting(
            batch, rows, reply, now, deadline, gone, first_cut, lane.promise_s(rows, now)
        )
        lane.append(request, kind)
        if deadline is not None:
            self._deadlines.add(deadline, now)
        if not lane.cut_planned and lane.free:
            self._plan_cut(lane)
        return lane, request

    def predicted_wait_s(self, rows: int) -> float:
        """How long a request of ``rows`` rows would take from now to its answer, in seconds."""
        return self._lane(rows).wait_s(rows, self._clock())

    def drain(self) -> None:
        """Expect nobody to come again: no call waits for company any more. All are answered."""
        self._draining = True
        for lane in self._lanes:
            if lane.timer is not None:
                self._plan_cut(lane)

    def _lane(self, rows: int) -> Lane[Batch, Result]:
        return self._large if rows > self._max_batch_size and self._large.slots else self._usual

    def refusal(self, rows: int, deadline: float | None) -> RequestError | None:
        """Why a request of ``rows`` rows would not be taken now, before anybody reads it."""
        return self._admission.refusal(self._lane(rows), rows, deadline)

    def _plan_cut(self, lane: Lane[Batch, Result]) -> None:
        """Start a call at the end of this pass, so that all who have arrived by then share it."""
        lane.cut_planned = True
        asyncio.get_running_loop().create_task(self._run(lane))

    def _cut(self, lane: Lane[Batch, Result]) -> Call[Batch, Result] | None:
        """The call to make now; None where nobody is left, or company is expected."""
        lane.cut_planned = False
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        if not lane.free or not lane.calls:
            return None
        now = self._clock()
        if self._max_queue_delay_s and not self._draining:
            pause = lane.company_s(now, self._max_queue_delay_s)
            if pause > 0:
                loop = asyncio.get_running_loop()
                lane.timer = loop.call_later(pause, self._company_is_over, lane)
                return None
        call = lane.take(now)
        if lane.calls and lane.free:
            self._plan_cut(lane)
        return call

    def _company_is_over(self, lane: Lane[Batch, Result]) -> None:
        lane.timer = None
        lane.company.stayed_away()
        if not lane.cut_planned:
            self._plan_cut(lane)

    async def _run(self, lane: Lane[Batch, Result]) -> None:
        """Calls, each from its cut to its answers, while a next one is due at once."""
        call = self._cut(lane)
        while call is not None:
            # The event loop's own reference to a task is a weak one.
            call.task = asyncio.current_task()
            try:
                answers = await self._answers(lane, list(call.requests))
            finally:
                lane.answered(call, self._clock())
                self._admission.moved(lane)
            if answers is not None:
                self._hand_out(answers)
            if self._admission.crowded:
                # The loop may have rested: sockets, probes and timers have their turn between.
                await asyncio.sleep(0)
            call = self._cut(lane) if lane.calls and not lane.cut_planned else None

    async def _answers(
        self, lane: Lane[Batch, Result], requests: Sequence[Waiting[Batch, Result]]
    ) -> _Answers[Batch, Result] | None:
        """The answers of one call; None where it failed and its callers know already.

        A call that fails is made again in halves, so that the fault finds its owner.
        """
        try:
            return await self._called(lane, requests)
        except Exception as error:  # noqa: BLE001 (the caller gets it, whatever it is)
            if len(requests) == 1:
                if not requests[0].reply.done():
                    requests[0].reply.set_exception(error)
                return None
        middle = len(requests) // 2
        for half in (requests[:middle], requests[middle:]):
            now = self._clock()
            needed = [request for request in half if not request.dropped(now, ask=True)]
            answers = await self._answers(lane, needed) if needed else None
            if answers is not None:
                self._hand_out(answers)
        return None

    async def _called(
        self, lane: Lane[Batch, Result], requests: Sequence[Waiting[Batch, Result]]
    ) -> _Answers[Batch, Result]:
        started = self._clock()
        parts: Sequence[Result]
        if len(requests) == 1:
            rows = requests[0].rows
            parts = (await self._executed(lane, requests[0].batch),)
        else:
            counts = [request.rows for request in requests]
            rows = sum(counts)
            merged = self._work.merge([request.batch for request in requests])
            parts = self._work.split(await self._executed(lane, merged), counts)
            if len(parts) != len(requests):
                raise PredictionError(
                    f"expected the answers of {len(requests)} requests, found {len(parts)} parts"
                )
        compute_s = self._clock() - started
        self.costs.observe(rows, compute_s)
        return _Answers(requests, parts, rows, started, compute_s)

    async def _executed(self, lane: Lane[Batch, Result], batch: Batch) -> Result:
        try:
            if (
                self._admission.crowded
                and lane is self._usual
                and self._work.execute_crowded is not None
            ):
                return await self._work.execute_crowded(batch)
            return await lane.execute(batch)
        except (Exception, GeneratorExit):
            raise
        except asyncio.CancelledError:
            # Something that the model itself waited for; its callers are to hear of it.
            raise PredictionError("what the model waited for was cancelled") from None
        except BaseException as error:
            # It must end neither the server nor this slot.
            raise broken_off(error) from error

    def _hand_out(self, answers: _Answers[Batch, Result]) -> None:
        for request, part in zip(answers.requests, answers.parts, strict=True):
            if not request.reply.done():
                request.reply.set_result(part)
        # Counting can wait until the callers are woken and the next call runs.
        asyncio.get_running_loop().call_soon(self._count, answers)

    def _count(self, answers: _Answers[Batch, Result]) -> None:
        waits = tuple([answers.started - request.since for request in answers.requests])
        self._observe(Timing(answers.rows, waits, answers.compute_s))


def broken_off(error: BaseException) -> Exception:
    """``error`` itself, or words for what is no ``Exception``: a native library's panic, say."""
    if isinstance(error, Exception):
        return error
    return PredictionError(f"the model broke off: {type(error).__name__}: {error}")
