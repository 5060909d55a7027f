"""What nobody needs is not computed, and what would come too late is refused at once."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import pytest
from support.batching import (
    Model,
    Rows,
    answers,
    run,
    run_virtually,
    settled,
    submit,
)

from boxship.errors import OverloadedError, RequestError, TimeoutExpiredError
from boxship.serve.batcher import Batcher
from boxship.serve.lane import CallerGoneError

Clock = Callable[[], float]


async def ended(task: asyncio.Task[Rows]) -> Rows | BaseException:
    """A caller's answer, or what it was told."""
    (found,) = await asyncio.gather(task, return_exceptions=True)
    return found


def test_a_deadline_ends_a_request_that_waits() -> None:
    """At its time, and its rows are not computed."""

    async def test(clock: Clock) -> None:
        model = Model()
        batcher = model.batcher(clock=clock)
        first = submit(batcher, 0)
        await settled()
        tasks = [submit(batcher, row, deadline=clock() + row) for row in (3, 1, 2)]
        error = await ended(tasks[1])
        assert clock() == pytest.approx(1, abs=0.01)
        assert isinstance(error, TimeoutExpiredError)
        assert str(error) == "expected an answer within 1 s, the model gave none"
        assert isinstance(await ended(tasks[2]), TimeoutExpiredError)
        assert clock() == pytest.approx(2, abs=0.01)
        await model.finish()
        assert await tasks[0] == answers(3)
        assert await first == answers(0)
        assert model.calls == [[0], [3]]

    run_virtually(test)


def test_a_deadline_ends_a_request_that_runs() -> None:
    """Its answer is thrown away, and those who share its call get theirs."""

    async def test(clock: Clock) -> None:
        model = Model()
        batcher = model.batcher(clock=clock)
        tasks = [submit(batcher, row, deadline=deadline) for row, deadline in ((0, 1.0), (1, None))]
        assert isinstance(await ended(tasks[0]), TimeoutExpiredError)
        assert clock() == pytest.approx(1, abs=0.01)
        await model.finish()
        assert await tasks[1] == answers(1)
        assert model.calls == [[0, 1]]

    run_virtually(test)


def test_a_deadline_that_has_passed_is_never_computed() -> None:
    async def test(clock: Clock) -> None:
        model = Model(held=False)
        with pytest.raises(TimeoutExpiredError):
            await model.batcher(clock=clock).submit([0], 1, "rows", deadline=clock())
        assert model.calls == []

    run_virtually(test)


def test_a_deadline_in_real_time() -> None:
    """The default clock is the monotonic one, as the event loop's."""

    async def test() -> None:
        loop = asyncio.get_running_loop()
        batcher = Model().batcher()
        began = loop.time()
        with pytest.raises(TimeoutExpiredError):
            await batcher.submit([0], 1, "rows", deadline=began + 0.05)
        assert 0.05 <= loop.time() - began < 5

    run(test)


def test_deadlines_are_kept_between_the_halves_of_a_failed_batch() -> None:
    async def test(clock: Clock) -> None:
        model = Model(seconds=lambda _: 1.0)
        batcher = model.batcher(clock=clock)
        options = {"bad": None, 1: 10.0, 2: 2.5, 3: 10.0}
        tasks = [submit(batcher, row, deadline=deadline) for row, deadline in options.items()]
        found = [await ended(task) for task in tasks]
        assert (found[1], found[3]) == (answers(1), answers(3))
        assert isinstance(found[2], TimeoutExpiredError)
        assert model.calls == [["bad", 1, 2, 3], ["bad", 1], ["bad"], [1], [3]]

    run_virtually(test)


def test_a_client_that_has_gone_while_it_waited_is_passed_over() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        gone: list[int] = []
        tasks = [submit(batcher, 0)]
        await settled()
        tasks += [submit(batcher, row, gone=lambda row=row: row in gone) for row in (1, 2, 3)]
        await settled()
        gone += [1, 3]
        await model.finish()
        found = [await ended(task) for task in tasks]
        assert (found[0], found[2]) == (answers(0), answers(2))
        assert [type(found[place]) for place in (1, 3)] == [CallerGoneError] * 2
        assert model.calls == [[0], [2]]

    run(test)


def test_a_client_whose_request_starts_at_once_is_not_asked() -> None:
    """It may have closed its sending half, and still read."""

    async def test() -> None:
        model = Model(held=False)
        tasks = [submit(model.batcher(), row, gone=lambda: True) for row in (1, 2)]
        assert [await task for task in tasks] == [answers(1), answers(2)]

    run(test)


def test_a_full_queue_is_rid_of_those_who_wait_for_nothing() -> None:
    async def test(clock: Clock) -> None:
        model = Model()
        batcher = model.batcher(clock=clock, max_queue_size=2)
        gone: list[int] = []
        tasks = [submit(batcher, 0)]
        await settled()
        tasks += [submit(batcher, row, gone=lambda row=row: row in gone) for row in (1, 2)]
        await settled()
        assert isinstance(await ended(submit(batcher, 3)), OverloadedError)
        await asyncio.sleep(0.02)
        gone.append(1)
        tasks.append(submit(batcher, 4))
        assert isinstance(await ended(tasks[1]), CallerGoneError)
        await model.finish()
        assert [await tasks[place] for place in (0, 2, 3)] == [answers(0), answers(2), answers(4)]

    run_virtually(test)


def test_a_full_queue_is_not_searched_for_each_refusal() -> None:
    """Refusals come by the thousand, and must stay cheap."""

    async def test(clock: Clock) -> None:
        model = Model()
        batcher = model.batcher(clock=clock, max_queue_size=1)
        asked: list[float] = []

        def gone() -> bool:
            asked.append(clock())
            return False

        tasks = [submit(batcher, 0)]
        await settled()
        tasks.append(submit(batcher, 1, gone=gone))
        for _ in range(100):
            await asyncio.sleep(0.0011)
            assert isinstance(await ended(submit(batcher, 2)), OverloadedError)
        assert 5 <= len(asked) <= 11
        await model.finish()
        await asyncio.gather(*tasks)

    run_virtually(test)


def known(model: Model, clock: Clock, **options: int) -> Batcher[Rows, Rows]:
    """A batcher that knows its model: ten milliseconds a call, whatever its rows."""
    batcher = model.batcher(clock=clock, **options)
    for rows in (1, 2, 4, 8, 16, 32, 64):
        batcher.costs.observe(rows, 0.010)
    return batcher


def test_the_wait_is_predicted_from_what_runs_and_waits() -> None:
    async def test(clock: Clock) -> None:
        model = Model()
        batcher = known(model, clock, max_batch_size=4)
        assert batcher.predicted_wait_s(1) == pytest.approx(0.010)
        tasks = [submit(batcher, 0)]
        await settled()
        assert batcher.predicted_wait_s(1) == pytest.approx(0.020)
        await asyncio.sleep(0.004)
        assert batcher.predicted_wait_s(1) == pytest.approx(0.016)
        tasks += [submit(batcher, row) for row in range(3)]
        await settled()
        assert batcher.predicted_wait_s(1) == pytest.approx(0.016)
        assert batcher.predicted_wait_s(2) == pytest.approx(0.006 + 1.5 * 0.010 + 0.010)
        await asyncio.sleep(1)
        assert batcher.predicted_wait_s(1) == pytest.approx(0.010)
        await model.finish()
        await asyncio.gather(*tasks)

    run_virtually(test)


def test_several_slots_share_what_waits() -> None:
    async def test(clock: Clock) -> None:
        model = Model()
        batcher = known(model, clock, max_batch_size=1, slots=2)
        tasks = [submit(batcher, row) for row in range(4)]
        await settled()
        expected = (2 * 0.010 + 1.5 * 2 * 0.010) / 2 + 0.010
        assert batcher.predicted_wait_s(1) == pytest.approx(expected)
        await model.finish()
        await asyncio.gather(*tasks)

    run_virtually(test)


def test_what_would_come_too_late_is_refused_at_once() -> None:
    async def test(clock: Clock) -> None:
        model = Model()
        batcher = model.batcher(clock=clock)
        batcher.costs.observe(1, 2.0)
        first = submit(batcher, 0)
        await settled()
        error = await ended(submit(batcher, 1, deadline=clock() + 3.9))
        assert isinstance(error, OverloadedError)
        assert "an answer would take about 4 s" in str(error)
        assert error.retry_after_s == 4
        assert clock() == pytest.approx(0)
        second = submit(batcher, 2, deadline=clock() + 4.1)
        await settled()
        await model.finish()
        assert [await first, await second] == [answers(0), answers(2)]

    run_virtually(test)


def test_an_idle_model_is_always_tried() -> None:
    """One slow call must not have all others refused for ever."""

    async def test(clock: Clock) -> None:
        model = Model(seconds=lambda _: 0.010)
        batcher = model.batcher(clock=clock)
        batcher.costs.observe(1, 60.0)
        for _ in range(3):
            assert await batcher.submit([0], 1, "rows", deadline=clock() + 0.1) == answers(0)

    run_virtually(test)


@pytest.mark.parametrize("spread", [0.0, 0.5], ids=["steady", "unsteady"])
@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_three_times_the_capacity_leaves_the_capacity_in_time(spread: float, *, warm: bool) -> None:
    """Nothing is computed in vain: most of what cannot be answered in time is refused at once."""
    size, call_s, deadline_s, seconds = 64, 0.010, 0.100, 1.0
    chance = random.Random(7)
    told: Counter[str] = Counter()
    refusals_s: list[float] = []

    async def test(clock: Clock) -> None:
        model = Model(seconds=lambda _: call_s * chance.uniform(1 - spread, 1 + spread))
        batcher = known(model, clock) if warm else model.batcher(clock=clock)

        async def caller() -> None:
            began = clock()
            try:
                await batcher.submit([0], 1, "rows", deadline=began + deadline_s)
            except RequestError as error:
                told[type(error).__name__] += 1
                if isinstance(error, OverloadedError):
                    refusals_s.append(clock() - began)
            else:
                assert clock() - began <= deadline_s + 0.001
                told["in time"] += 1

        callers = []
        while clock() < seconds:
            callers += [asyncio.create_task(caller()) for _ in range(3 * size // 10)]
            await asyncio.sleep(call_s / 10)
        await asyncio.gather(*callers)

    run_virtually(test)
    capacity = seconds / call_s * size
    assert told["in time"] >= 0.9 * capacity
    assert told["TimeoutExpiredError"] <= 0.1 * capacity
    assert max(refusals_s) == 0.0
