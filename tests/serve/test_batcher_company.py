"""``max_queue_delay_s``: a free model waits only for those who probably come again."""

import asyncio
import random
from collections.abc import Callable

import pytest
from support.batching import Model, Rows, run_virtually, settled, submit

from boxship.serve.batcher import Batcher

Clock = Callable[[], float]
CALL_S = 0.010


def flat(_: int) -> float:
    """A forest's cost: as much for one row as for many."""
    return CALL_S


def linear(rows: int) -> float:
    """A cost that nobody saves by sharing."""
    return rows * CALL_S / 64


def warmed(model: Model, clock: Clock, **options: float) -> Batcher[Rows, Rows]:
    batcher = model.batcher(clock=clock, **options)
    for rows in (1, 2, 4, 8, 16, 32, 64):
        batcher.costs.observe(rows, flat(rows) if model.seconds is flat else linear(rows))
    return batcher


async def crowd(
    batcher: Batcher[Rows, Rows], clock: Clock, *, callers: int, pause_s: float, end: float
) -> list[float]:
    """Callers that come again and again; how long each answer took."""
    chance = random.Random(1)
    waits: list[float] = []

    async def caller() -> None:
        await asyncio.sleep(chance.uniform(0, 0.02))
        while clock() < end:
            began = clock()
            await batcher.submit([0], 1, "rows")
            waits.append(clock() - began)
            await asyncio.sleep(pause_s * chance.uniform(0.5, 1.5))

    await asyncio.gather(*(caller() for _ in range(callers)))
    return waits


def test_a_single_caller_never_waits() -> None:
    async def test(clock: Clock) -> None:
        batcher = warmed(Model(seconds=flat), clock, max_queue_delay_s=1.0)
        waits = await crowd(batcher, clock, callers=1, pause_s=0.001, end=1.0)
        assert len(waits) > 50
        assert max(waits) == pytest.approx(CALL_S)

    run_virtually(test)


def test_returning_callers_are_awaited() -> None:
    """Else they would fall into two groups, which wait for each other's calls for ever."""

    async def test(clock: Clock) -> None:
        calls = {}
        for delay in (0.0, 0.002):
            model = Model(seconds=flat)
            batcher = warmed(model, clock, max_queue_delay_s=delay)
            await crowd(batcher, clock, callers=32, pause_s=0.001, end=clock() + 1.0)
            calls[delay] = [len(call) for call in model.calls]
        assert max(calls[0.0][5:]) < 32
        assert set(calls[0.002][5:-5]) == {32}

    run_virtually(test)


def test_nobody_waits_where_a_shared_call_saves_nothing() -> None:
    async def test(clock: Clock) -> None:
        batcher = warmed(Model(seconds=linear), clock, max_queue_delay_s=0.005)
        delays = []
        for _ in range(20):
            tasks = [submit(batcher, row) for row in range(8)]
            await asyncio.gather(*tasks)
            began = clock()
            await batcher.submit([0], 1, "rows")
            delays.append(clock() - began - linear(1))
        assert max(delays) == pytest.approx(0.0, abs=1e-6)

    run_virtually(test)


async def pair_then_one(batcher: Batcher[Rows, Rows], clock: Clock, after_s: float) -> float:
    """Two are answered, one comes again after a while; how long it waits beyond its call."""
    await asyncio.gather(submit(batcher, 0), submit(batcher, 1))
    await asyncio.sleep(after_s)
    began = clock()
    await batcher.submit([0], 1, "rows")
    return clock() - began - CALL_S


@pytest.mark.parametrize(
    ("delay_s", "after_s", "waits_s"),
    [
        pytest.param(0.0, 0.0, 0.0, id="no delay, no wait"),
        pytest.param(0.004, 0.0, 0.004, id="up to the delay"),
        pytest.param(0.004, 0.001, 0.003, id="counted from the answers"),
        pytest.param(0.004, 0.005, 0.0, id="nobody is expected later"),
        pytest.param(5.0, 0.0, CALL_S / 2, id="half of what a shared call saves"),
    ],
)
def test_the_wait_is_bounded(delay_s: float, after_s: float, waits_s: float) -> None:
    async def test(clock: Clock) -> None:
        batcher = warmed(Model(seconds=flat), clock, max_queue_delay_s=delay_s)
        assert await pair_then_one(batcher, clock, after_s) == pytest.approx(waits_s, abs=1e-6)

    run_virtually(test)


def test_waits_in_vain_become_rare() -> None:
    """Callers that come once, or take their time, do not slow the others down."""

    async def test(clock: Clock) -> None:
        batcher = warmed(Model(seconds=flat), clock, max_queue_delay_s=0.004)
        waits = [await pair_then_one(batcher, clock, 0.0) for _ in range(100)]
        assert waits[0] == pytest.approx(0.004)
        assert sum(wait > 1e-6 for wait in waits) < 10

    run_virtually(test)


def test_those_who_come_after_all_are_awaited_again() -> None:
    async def test(clock: Clock) -> None:
        batcher = warmed(Model(seconds=flat), clock, max_queue_delay_s=0.004)
        assert await pair_then_one(batcher, clock, 0.0) == pytest.approx(0.004)
        await asyncio.gather(submit(batcher, 0), submit(batcher, 1))
        first = submit(batcher, 0)
        await asyncio.sleep(0.001)
        await asyncio.gather(first, submit(batcher, 1))
        waits = [await pair_then_one(batcher, clock, 0.0) for _ in range(3)]
        assert waits == pytest.approx([0.004, 0.004, 0.0])

    run_virtually(test)


def test_a_full_batch_waits_for_nobody() -> None:
    """Nor for the rest of those who were left waiting."""

    async def test(clock: Clock) -> None:
        batcher = warmed(Model(seconds=flat), clock, max_queue_delay_s=5.0, max_batch_size=4)
        began = clock()
        await asyncio.gather(*(submit(batcher, row) for row in range(8)))
        assert clock() - began == pytest.approx(2 * CALL_S)

    run_virtually(test)


def test_a_call_that_nobody_can_join_does_not_wait() -> None:
    """Another kind waits behind it."""

    async def test(clock: Clock) -> None:
        batcher = warmed(Model(seconds=flat), clock, max_queue_delay_s=5.0)
        await asyncio.gather(*(submit(batcher, row) for row in range(4)))
        began = clock()
        behind = [submit(batcher, row, kind=kind) for row, kind in enumerate("ab")]
        await behind[0]
        assert clock() - began == pytest.approx(CALL_S)
        await behind[1]

    run_virtually(test)


def test_a_deadline_ends_the_wait() -> None:
    """In time for the call itself, and for one that lags."""

    async def test(clock: Clock) -> None:
        batcher = warmed(Model(seconds=flat), clock, max_queue_delay_s=5.0)
        await asyncio.gather(submit(batcher, 0), submit(batcher, 1))
        began = clock()
        await batcher.submit([0], 1, "rows", deadline=began + 0.018)
        assert clock() - began == pytest.approx(0.003 + CALL_S)

    run_virtually(test)


def test_draining_ends_the_wait() -> None:
    async def test(clock: Clock) -> None:
        batcher = warmed(Model(seconds=flat), clock, max_queue_delay_s=5.0)
        await asyncio.gather(submit(batcher, 0), submit(batcher, 1))
        began = clock()
        last = submit(batcher, 0)
        await settled()
        batcher.drain()
        await last
        assert clock() - began == pytest.approx(CALL_S)

    run_virtually(test)
