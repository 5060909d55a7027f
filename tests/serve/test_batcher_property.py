"""Whatever comes, fails, leaves and expires, nobody is lost and nobody gets another's rows."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import example, given, settings, strategies as st
from support.batching import Model, Rows, answers, run_virtually, submit

from boxship.errors import InputError, OverloadedError, TimeoutExpiredError
from boxship.serve.batcher import Batcher
from boxship.serve.lane import CallerGoneError

Clock = Callable[[], float]
MS = 0.001


@dataclass(frozen=True)
class Caller:
    """Comes at a time with some rows. All times are in milliseconds; the others from then on."""

    comes: int
    rows: int
    kind: str
    bad: bool = False
    leaves: int | None = None
    deadline: int | None = None
    gone: int | None = None


@dataclass(frozen=True)
class World:
    """The batcher's limits, and what a call takes: so much, and so much a row."""

    max_batch_size: int
    max_queue_size: int
    slots: int
    large_slots: int
    delay: int
    call: int
    row: int
    drains: int | None


CALLERS = st.builds(
    Caller,
    comes=st.integers(0, 40),
    rows=st.integers(1, 6),
    kind=st.sampled_from("ab"),
    bad=st.sampled_from([False, False, False, True]),
    leaves=st.none() | st.integers(0, 30),
    deadline=st.none() | st.integers(1, 60),
    gone=st.none() | st.integers(0, 30),
)
WORLDS = st.builds(
    World,
    max_batch_size=st.integers(1, 8),
    max_queue_size=st.integers(1, 12),
    slots=st.integers(1, 3),
    large_slots=st.integers(0, 2),
    delay=st.sampled_from([0, 0, 2, 20]),
    call=st.integers(0, 15),
    row=st.integers(0, 2),
    drains=st.none() | st.integers(0, 50),
)


class Trial:
    """One world, its callers, and what became of them."""

    def __init__(self, world: World, callers: list[Caller], clock: Clock) -> None:
        self.world = world
        self.callers = callers
        self.clock = clock
        self.model = Model(seconds=lambda rows: (world.call + world.row * rows) * MS)
        self.batcher: Batcher[Rows, Rows] = self.model.batcher(
            max_batch_size=world.max_batch_size,
            max_queue_size=world.max_queue_size,
            max_queue_delay_s=world.delay * MS,
            slots=world.slots,
            large_slots=world.large_slots,
            clock=clock,
        )

    def rows(self, number: int) -> Rows:
        caller = self.callers[number]
        rows: Rows = [(number, caller.kind, index) for index in range(caller.rows)]
        if caller.bad:
            rows[-1] = "bad"
        return rows

    async def call(self, number: int) -> None:
        """One caller's whole life."""
        caller = self.callers[number]
        await asyncio.sleep(caller.comes * MS)
        began = self.clock()

        def at(after: int | None) -> float:
            return float("inf") if after is None else began + after * MS

        def gone() -> bool:
            return self.clock() >= at(caller.gone)

        options = {} if caller.deadline is None else {"deadline": at(caller.deadline)}
        rows = self.rows(number)
        task = submit(self.batcher, *rows, kind=caller.kind, gone=gone, **options)
        if caller.leaves is not None:
            asyncio.get_running_loop().call_later(caller.leaves * MS, task.cancel)
        (found,) = await asyncio.gather(task, return_exceptions=True)
        now = self.clock()
        late = at(caller.deadline) + 1.1 * MS
        if isinstance(found, asyncio.CancelledError):
            assert now >= at(caller.leaves) - MS / 100
        elif isinstance(found, TimeoutExpiredError):
            assert at(caller.deadline) <= now <= late
        elif isinstance(found, CallerGoneError):
            assert gone()
        elif isinstance(found, OverloadedError):
            assert now == began
        elif caller.bad:
            assert isinstance(found, InputError)
            assert now <= late
        else:
            assert found == answers(*rows)
            assert now <= late

    async def run(self) -> None:
        if self.world.drains is not None:
            asyncio.get_running_loop().call_later(self.world.drains * MS, self.batcher.drain)
        await asyncio.gather(*(self.call(number) for number in range(len(self.callers))))
        await asyncio.sleep(10)

    def check_calls(self) -> None:
        world, model = self.world, self.model
        answered: Counter[object] = Counter()
        for call in model.calls + model.large_calls:
            of = [row for row in call if row != "bad"]
            numbers = {row[0] for row in of}
            assert len({row[1] for row in of}) <= 1
            if len(call) > world.max_batch_size:
                assert len(numbers) == 1
                assert len(call) == self.callers[of[0][0]].rows
            if "bad" not in call:
                answered.update(of)
        assert max(answered.values(), default=1) == 1
        assert model.most_running <= world.slots
        assert model.most_large_running <= world.large_slots
        if world.large_slots:
            assert all(len(call) <= world.max_batch_size for call in model.calls)

    def check_nothing_is_left(self) -> None:
        for lane in self.batcher._lanes:
            assert (lane.count, lane.rows, lane.calls, lane.running) == (0, 0, {}, set())


@settings(max_examples=300, deadline=None)
@given(world=WORLDS, callers=st.lists(CALLERS, max_size=30))
@example(
    world=World(2, 3, 1, 1, 0, 10, 0, None),
    callers=[Caller(0, 1, "a"), Caller(1, 6, "a", bad=True), Caller(2, 1, "b", leaves=1)] * 3,
)
def test_nobody_is_lost_or_doubled_or_given_anothers_rows(
    world: World, callers: list[Caller]
) -> None:
    """Each gets exactly its own answer, or is told why not, and in time; no limit is passed."""

    async def test(clock: Clock) -> None:
        trial = Trial(world, callers, clock)
        await trial.run()
        trial.check_calls()
        trial.check_nothing_is_left()

    run_virtually(test)


@settings(max_examples=100, deadline=None)
@given(
    world=WORLDS, comes=st.lists(st.integers(0, 40), min_size=1, max_size=20), kind=st.booleans()
)
def test_without_limits_everybody_is_answered_and_no_slot_idles(
    world: World, comes: list[int], *, kind: bool
) -> None:
    """With no delay allowed, a request waits only while every slot is taken."""
    callers = [Caller(at, 1, "ab"[kind and at % 2]) for at in comes]
    roomy = World(world.max_batch_size, 100, world.slots, 0, 0, world.call, world.row, None)

    async def test(clock: Clock) -> None:
        trial = Trial(roomy, callers, clock)
        await trial.run()
        assert sum(timing.rows for timing in trial.model.timings) == len(callers)
        waits = [wait for timing in trial.model.timings for wait in timing.queue_s]
        if trial.model.most_running < roomy.slots:
            assert max(waits) == 0.0

    run_virtually(test)
