"""The requests that wait for the model, in the calls that they will share."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from boxship.errors import RequestError, TimeoutExpiredError
from boxship.serve.company import Company
from boxship.serve.costs import Costs

Batch = TypeVar("Batch")
Result = TypeVar("Result")
Result_contra = TypeVar("Result_contra", contravariant=True)

_CAUTION = 1.5
"""A call may take that many times its mean, and one that lags makes everyone behind it late."""

_WEIGHT = 0.25
"""Of the newest delay in the mean of those that nobody had predicted."""


class CallerGoneError(RequestError):
    """The client has gone while its request waited; nobody reads the answer."""


class Reply(Protocol[Result_contra]):
    """What a caller is told, once: a future, or whatever acts at once."""

    def done(self) -> bool:
        """Whether it was told."""

    def set_result(self, result: Result_contra, /) -> None:
        """The answer to its batch. It must not raise."""

    def set_exception(self, exception: Exception, /) -> None:
        """Why there is none. It must not raise."""


@dataclass(eq=False, slots=True)
class Waiting(Generic[Batch, Result]):
    """One request, from its arrival to its answer. Times are the batcher's clock's, in seconds.

    ``first_cut`` is the number of the cut that takes it at once, -1 where a call runs before it;
    ``promised_s`` how long it would take by the costs of calls alone.
    """

    batch: Batch
    rows: int
    reply: Reply[Result]
    since: float
    deadline: float | None
    gone: Callable[[], bool] | None
    first_cut: int
    promised_s: float = 0.0
    call: "Call[Batch, Result] | None" = field(default=None, repr=False)

    def dropped(self, now: float, *, ask: bool) -> bool:
        """Whether nobody needs the answer any more; its caller is then told why.

        ``ask`` for what costs more: whether its client has gone.
        """
        if self.reply.done():
            return True
        if self.deadline is not None and self.deadline <= now:
            self.reply.set_exception(expired(self.deadline - self.since))
            return True
        if ask and self.gone is not None and self.gone():
            self.reply.set_exception(
                CallerGoneError("expected a client that waits for its answer, found it gone")
            )
            return True
        return False


def expired(seconds: float) -> TimeoutExpiredError:
    """The end of a request that had ``seconds``."""
    return TimeoutExpiredError(
        f"expected an answer within {max(seconds, 0.0):.3g} s, the model gave none"
    )


@dataclass(eq=False, slots=True)
class Call(Generic[Batch, Result]):
    """Requests of one kind that share a call, in the order of arrival. A dict is an ordered set."""

    kind: Hashable
    rows: int = 0
    requests: dict[Waiting[Batch, Result], None] = field(default_factory=dict)
    started: float = 0.0
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Lane(Generic[Batch, Result]):
    """A queue, and the slots in which its calls run. Nobody overtakes.

    ``count`` requests of ``rows`` rows wait, in ``calls``; what is in ``running`` runs.
    It decides and keeps count; the batcher makes the calls. ``cut_planned`` and ``timer``
    are the batcher's: when it looks at this lane again.
    """

    def __init__(
        self,
        execute: Callable[[Batch], Awaitable[Result]],
        costs: Costs,
        *,
        slots: int,
        max_batch_size: int,
    ) -> None:
        self.execute = execute
        self.slots = slots
        self.count = self.rows = 0
        self.calls: dict[Call[Batch, Result], None] = {}
        self.running: set[Call[Batch, Result]] = set()
        self.cuts = 0
        self.cut_planned = False
        self.timer: asyncio.TimerHandle | None = None
        self._costs = costs
        self._max_batch_size = max_batch_size
        self.company = Company()
        self.late_s = 0.0

    @property
    def free(self) -> bool:
        """Whether another call may start."""
        return len(self.running) < self.slots

    def starting(self) -> int:
        """How many requests have a slot already, and only await the end of the pass or company."""
        return len(next(iter(self.calls)).requests) if self.free and self.calls else 0

    def starts_at_once(self, rows: int) -> bool:
        """Whether the next call has a slot already, and room for so many rows more."""
        return self.free and len(self.calls) <= 1 and self.rows + rows <= self._max_batch_size

    def append(self, request: Waiting[Batch, Result], kind: Hashable) -> None:
        """Take a request: into the last call if it may share it, else into a new one."""
        call = next(reversed(self.calls), None)
        if call is None or not self._fits(call, kind, request.rows):
            call = Call(kind)
            self.calls[call] = None
        call.requests[request] = None
        call.rows += request.rows
        request.call = call
        self.count += 1
        self.rows += request.rows

    def remove(self, request: Waiting[Batch, Result]) -> None:
        """Forget a request that waits; one that runs is let be."""
        call = request.call
        if call is None or call not in self.calls:
            return
        del call.requests[request]
        call.rows -= request.rows
        self.count -= 1
        self.rows -= request.rows
        request.call = None
        if not call.requests:
            del self.calls[call]

    def drop(self, now: float, *, ask: bool) -> None:
        """Forget all who wait for nothing any more."""
        gone = [one for one in self.waiting() if one.dropped(now, ask=ask)]
        for request in gone:
            self.remove(request)
        late = [one for one in gone if one.deadline is not None and one.deadline <= now]
        if late:
            self._learn(late, now)

    def _learn(self, requests: Iterable[Waiting[Batch, Result]], now: float) -> None:
        """See how much later than promised the latest of them is."""
        late_s = max([now - one.since - one.promised_s for one in requests])
        self.late_s = max(0.0, self.late_s + _WEIGHT * (late_s - self.late_s))

    def waiting(self) -> Iterator[Waiting[Batch, Result]]:
        """Every request in the queue."""
        return (request for call in self.calls for request in call.requests)

    def take(self, now: float) -> Call[Batch, Result] | None:
        """Start the next call, without those who wait for nothing any more; None if all do."""
        taken: Call[Batch, Result] | None = None
        while self.calls:
            call = next(iter(self.calls))
            # Calls that some have left may fit into one.
            if taken is not None and not self._fits(taken, call.kind, call.rows):
                break
            for request in list(call.requests):
                # One that starts at once needs no asking, and may have closed its sending half.
                if request.dropped(now, ask=request.first_cut != self.cuts):
                    self.remove(request)
            if not call.requests:
                continue
            del self.calls[call]
            self.count -= len(call.requests)
            self.rows -= call.rows
            if taken is None:
                taken = call
            else:
                taken.requests |= call.requests
                taken.rows += call.rows
                call.requests.clear()
        self.cuts += 1
        if taken is not None:
            taken.started = now
            self.running.add(taken)
        return taken

    def answered(self, call: Call[Batch, Result], now: float) -> None:
        """A call has ended, and its callers get their answers. They may come again soon."""
        self.running.discard(call)
        if call.requests:
            self._learn(call.requests, now)
        self.company.expect(len(call.requests) + self.count, call.rows + self.rows, now)
        call.requests.clear()

    def company_s(self, now: float, max_delay_s: float) -> float:
        """How long the next call should wait for company, in seconds; 0 or less: not at all.

        The oldest request waits ``max_delay_s`` at most, counted from when a slot was free for
        it, and no longer than half of what one shared call saves.
        """
        missing = min(self.company.rows, self._max_batch_size) - self.rows
        if self.count >= self.company.requests or len(self.calls) != 1 or missing <= 0:
            self.company.complete()
            return 0.0
        predict = self._costs.predict
        call_s = predict(self.rows + missing)
        saved_s = predict(self.rows) + predict(missing) - call_s
        oldest = next(self.waiting())
        until = self.company.until(oldest.since, max_delay_s, saved_s)
        for request in self.waiting():
            if request.deadline is not None:
                until = min(until, request.deadline - _CAUTION * call_s)
        if until > now:
            self.company.awaited = True
        return until - now

    def wait_s(self, rows: int, now: float) -> float:
        """How long a new request of ``rows`` rows would take, its own call included.

        What is left of the calls that run, the queued ones at the mean of their rows, its own,
        and what others lately had to wait beyond that: for an event loop with too much to do,
        say. Kinds are not looked at.
        """
        return self.promise_s(rows, now) + self.late_s

    def promise_s(self, rows: int, now: float) -> float:
        """The same by the costs of calls alone."""
        predict = self._costs.predict
        left_s = 0.0
        if not self.free:
            for call in self.running:
                left_s += max(0.0, predict(call.rows) - (now - call.started))
        last = next(reversed(self.calls), None)
        calls = len(self.calls)
        if last is None or last.rows + rows > self._max_batch_size:
            calls += 1
        call_s = predict((self.rows + rows) / calls)
        return (left_s + _CAUTION * (calls - 1) * call_s) / self.slots + call_s

    def _fits(self, call: Call[Batch, Result], kind: Hashable, rows: int) -> bool:
        return call.rows + rows <= self._max_batch_size and call.kind == kind
