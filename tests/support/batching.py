"""A model that does as it is told, for the batcher's tests, and a clock that costs no time."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from typing import Any

from boxship.errors import InputError
from boxship.serve.batcher import Batcher, Timing, Work

Rows = list[Any]


class Model:
    """Answers ``("answer", row)`` for each row, when told to; refuses rows that are ``"bad"``.

    ``held`` calls end when they are released, others after ``seconds(rows)``.
    """

    def __init__(
        self,
        *,
        held: bool = True,
        short: bool = False,
        seconds: Callable[[int], float] | None = None,
    ) -> None:
        self.calls: list[Rows] = []
        self.large_calls: list[Rows] = []
        self.waiting: list[asyncio.Future[None]] = []
        self.timings: list[Timing] = []
        self.running = self.most_running = 0
        self.large_running = self.most_large_running = 0
        self.held = held and seconds is None
        self.short = short
        self.seconds = seconds

    def batcher(self, **options: Any) -> Batcher[Rows, Rows]:
        """A batcher before this model."""
        work = Work(
            execute=self.execute,
            merge=self.merge,
            split=self.split,
            execute_large=self.execute_large if options.get("large_slots") else None,
        )
        options = {"max_batch_size": 64, "max_queue_size": 1000, **options}
        return Batcher(work, observe=self.timings.append, **options)

    def merge(self, batches: Sequence[Rows]) -> Rows:
        return [row for batch in batches for row in batch]

    def split(self, answers: Rows, rows: Sequence[int]) -> list[Rows]:
        left = iter(answers)
        parts = [[next(left) for _ in range(count)] for count in rows]
        return parts[:-1] if self.short else parts

    async def execute(self, batch: Rows) -> Rows:
        self.calls.append(batch)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self._answered(batch)
        finally:
            self.running -= 1

    async def execute_large(self, batch: Rows) -> Rows:
        self.large_calls.append(batch)
        self.large_running += 1
        self.most_large_running = max(self.most_large_running, self.large_running)
        try:
            return await self._answered(batch)
        finally:
            self.large_running -= 1

    async def _answered(self, batch: Rows) -> Rows:
        if self.seconds is not None:
            await asyncio.sleep(self.seconds(len(batch)))
        elif self.held:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append(future)
            await future
        if "bad" in batch:
            raise InputError("a bad row")
        return [("answer", row) for row in batch]

    def release(self) -> None:
        """Let every call that runs now end."""
        for future in self.waiting:
            if not future.done():
                future.set_result(None)

    async def finish(self) -> None:
        """Let all that runs and waits end."""
        self.held = False
        self.release()
        await settled()


async def settled() -> None:
    """Give everything that can go on its turn."""
    for _ in range(100):
        await asyncio.sleep(0)


def answers(*rows: object) -> Rows:
    """What the model gives for ``rows``."""
    return [("answer", row) for row in rows]


def submit(
    batcher: Batcher[Rows, Rows], *rows: object, kind: Hashable = "rows", **options: Any
) -> asyncio.Task[Rows]:
    """A caller that brings ``rows``; it has arrived once the event loop has turned."""
    return asyncio.create_task(batcher.submit(list(rows), len(rows), kind, **options))


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes at once where nobody has anything to do."""

    def __init__(self) -> None:
        super().__init__(_Sleepless(self))
        self.now = 0.0

    def time(self) -> float:
        return self.now


class _Sleepless(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.now += timeout or 0.0
        return super().select(0)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test in an event loop of real time."""
    asyncio.run(asyncio.wait_for(test(), 10))


def run_virtually(test: Callable[[Callable[[], float]], Awaitable[None]]) -> None:
    """Run a test in virtual time; it gets the clock, in seconds."""

    async def clocked() -> None:
        await asyncio.wait_for(test(asyncio.get_running_loop().time), 3600)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(clocked())
