"""When there is too much: refusals that cost little, and promises that are kept."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from support.batching import Model, Rows, answers, run_virtually, settled, submit

from boxship.errors import OverloadedError
from boxship.serve.batcher import Batcher, Work
from boxship.serve.costs import Costs

Clock = Callable[[], float]


class Told:
    """A caller that is told at once."""

    def __init__(self) -> None:
        self.result: Any = None
        self.error: Exception | None = None

    def done(self) -> bool:
        return self.result is not None or self.error is not None

    def set_result(self, result: Any, /) -> None:
        self.result = result

    def set_exception(self, exception: Exception, /) -> None:
        self.error = exception


def one_second() -> Costs:
    costs = Costs()
    for rows in (1, 64):
        costs.observe(rows, 1.0)
    return costs


def test_a_caller_may_be_told_in_the_very_pass_in_which_its_call_ends() -> None:
    async def test(clock: Clock) -> None:
        model = Model(seconds=lambda _: 1.0)
        batcher = model.batcher(clock=clock)
        callers = [Told(), Told()]
        for row, caller in enumerate(callers):
            batcher.enqueue([row], 1, "rows", caller)
        await asyncio.sleep(1.5)
        assert [caller.result for caller in callers] == [answers(0), answers(1)]

    run_virtually(test)


def test_such_a_caller_hears_of_its_failure_and_its_deadline() -> None:
    async def test(clock: Clock) -> None:
        model = Model(seconds=lambda _: 1.0)
        batcher = model.batcher(clock=clock, costs=one_second())
        bad, late = Told(), Told()
        batcher.enqueue(["bad"], 1, "rows", bad)
        await settled()
        batcher.enqueue([1], 1, "other", late, deadline=clock() + 2.0)
        model.seconds = lambda _: 9.0
        await asyncio.sleep(3)
        assert str(bad.error) == "a bad row"
        assert "expected an answer within 2 s" in str(late.error)

    run_virtually(test)


async def overloaded(clock: Clock, **options: Any) -> tuple[Model, Batcher[Rows, Rows]]:
    """A model that is busy for a second."""
    model = Model(seconds=lambda _: 1.0)
    batcher = model.batcher(clock=clock, costs=one_second(), **options)
    submit(batcher, 0)
    await settled()
    return model, batcher


def test_a_refusal_stands_until_the_end_of_the_pass() -> None:
    """For those who ask for as much in no more time."""

    async def test(clock: Clock) -> None:
        _, batcher = await overloaded(clock)
        first = batcher.refusal(2, clock() + 0.5)
        assert isinstance(first, OverloadedError)
        assert batcher.refusal(2, clock() + 0.5) is first
        assert batcher.refusal(3, clock() + 0.4) is first
        assert batcher.refusal(1, clock() + 0.5) is not first
        assert batcher.refusal(2, clock() + 5) is None
        await settled()
        assert batcher.refusal(3, clock() + 0.4) is not first

    run_virtually(test)


def test_a_refusal_of_one_lane_is_none_of_the_other() -> None:
    async def test(clock: Clock) -> None:
        _, batcher = await overloaded(clock, max_batch_size=4, large_slots=1)
        assert isinstance(batcher.refusal(1, clock() + 0.5), OverloadedError)
        assert batcher.refusal(5, clock() + 0.5) is None

    run_virtually(test)


def test_what_nobody_had_predicted_is_reckoned_with() -> None:
    """An event loop that is late makes its callers late, and the next ones are told so."""

    async def test(clock: Clock) -> None:
        model = Model(seconds=lambda _: 1.0)
        batcher = model.batcher(clock=clock, costs=one_second())
        assert batcher.predicted_wait_s(1) == pytest.approx(1.0)
        model.seconds = lambda _: 3.0
        batcher.costs.observe = lambda *_: None  # type: ignore[method-assign]
        for _ in range(20):
            await batcher.submit([0], 1, "rows")
        assert batcher.predicted_wait_s(1) == pytest.approx(3.0, abs=0.05)
        model.seconds = lambda _: 1.0
        for _ in range(20):
            await batcher.submit([0], 1, "rows")
        assert batcher.predicted_wait_s(1) == pytest.approx(1.0, abs=0.05)

    run_virtually(test)


def test_a_call_that_is_made_in_any_case_is_filled() -> None:
    """Those who can share it are not refused for a delay that it has anyway."""

    async def test(clock: Clock) -> None:
        model = Model(seconds=lambda _: 9.0)
        batcher = model.batcher(clock=clock, costs=one_second(), max_batch_size=2)
        batcher.costs.observe = lambda *_: None  # type: ignore[method-assign]
        for _ in range(20):
            await batcher.submit([0], 1, "rows")
        tasks = [submit(batcher, row, deadline=clock() + 2) for row in (1, 2, 3)]
        await settled()
        assert model.calls[-1] == [1, 2]
        assert isinstance(tasks[2].exception(), OverloadedError)
        await asyncio.gather(*tasks, return_exceptions=True)

    run_virtually(test)


def test_calls_are_made_another_way_while_requests_are_refused() -> None:
    async def test(clock: Clock) -> None:
        crowded: list[Rows] = []

        async def execute_crowded(batch: Rows) -> Rows:
            crowded.append(batch)
            return [("answer", row) for row in batch]

        model = Model(seconds=lambda _: 1.0)
        work = Work(
            execute=model.execute,
            merge=model.merge,
            split=model.split,
            execute_crowded=execute_crowded,
        )
        batcher = Batcher(
            work, max_batch_size=64, max_queue_size=9, clock=clock, costs=one_second()
        )
        first = submit(batcher, 0)
        await settled()
        waits = submit(batcher, 1)
        await asyncio.sleep(0.95)
        assert isinstance(batcher.refusal(1, clock() + 0.5), OverloadedError)
        assert [await first, await waits] == [answers(0), answers(1)]
        assert (model.calls, crowded) == ([[0]], [[1]])
        await asyncio.sleep(1)
        assert await submit(batcher, 2) == answers(2)
        assert (model.calls, crowded) == ([[0], [2]], [[1]])

    run_virtually(test)
