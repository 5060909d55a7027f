"""Requests that wait are merged into one call, and each gets its own rows back."""

import asyncio
import gc
import weakref
from typing import Any

import pytest
from support.batching import Model, Rows, answers, run, settled, submit

from boxship.errors import InputError, OverloadedError, PredictionError
from boxship.serve.batcher import Batcher, Work


async def busy(batcher: Batcher[Rows, Rows]) -> asyncio.Task[Rows]:
    """A caller whose call runs: those after it wait."""
    first = submit(batcher, 0)
    await settled()
    return first


def test_an_idle_model_is_called_at_once() -> None:
    """Nobody waits for company that may not come."""

    async def test() -> None:
        model = Model()
        first = await busy(model.batcher())
        assert model.calls == [[0]]
        await model.finish()
        assert await first == answers(0)

    run(test)


def test_those_who_have_arrived_together_share_a_call() -> None:
    """Without any wait: the call starts when this pass of the event loop ends."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        tasks = [submit(batcher, row) for row in range(5)]
        await settled()
        assert model.calls == [[0, 1, 2, 3, 4]]
        await model.finish()
        assert [await task for task in tasks] == [answers(row) for row in range(5)]

    run(test)


def test_what_waits_for_the_slot_shares_the_next_call() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        tasks = [await busy(batcher)]
        tasks += [submit(batcher, 2, 3), submit(batcher, 4), submit(batcher, 5)]
        await settled()
        assert model.calls == [[0]]
        await model.finish()
        assert model.calls == [[0], [2, 3, 4, 5]]
        found = [await task for task in tasks]
        assert found == [answers(0), answers(2, 3), answers(4), answers(5)]

    run(test)


def test_a_call_holds_at_most_max_batch_size_rows() -> None:
    """In the order of arrival; a request that is larger by itself is called by itself."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher(max_batch_size=3)
        sizes = ([0], [1, 2], [3, 4], [5], [6], [7, 8, 9, 10], [11], [12])
        tasks = [submit(batcher, *rows) for rows in sizes]
        await model.finish()
        assert model.calls == [[0, 1, 2], [3, 4, 5], [6], [7, 8, 9, 10], [11, 12]]
        assert [len(await task) for task in tasks] == [1, 2, 2, 1, 1, 4, 1, 1]

    run(test)


def test_calls_that_some_have_left_are_put_together() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher(max_batch_size=4)
        tasks = [await busy(batcher)] + [submit(batcher, row) for row in range(1, 9)]
        await settled()
        for row in (1, 2, 5, 6):
            tasks[row].cancel()
        await settled()
        await model.finish()
        assert model.calls == [[0], [3, 4, 7, 8]]
        assert [await tasks[row] for row in (3, 4, 7, 8)] == [answers(r) for r in (3, 4, 7, 8)]

    run(test)


def test_kinds_never_share_a_call() -> None:
    """A request of another kind keeps its place; nobody overtakes."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        kinds = {0: "a", 1: "b", 2: "b", 3: "a", 4: "b", 5: "a", 6: "a"}
        tasks = [submit(batcher, row, kind=kind) for row, kind in kinds.items()]
        await model.finish()
        assert model.calls == [[0], [1, 2], [3], [4], [5, 6]]
        assert [await task for task in tasks] == [answers(row) for row in kinds]

    run(test)


def test_as_many_calls_as_slots() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher(slots=3, max_batch_size=2)
        tasks = [submit(batcher, row) for row in range(10)]
        await settled()
        assert model.calls == [[0, 1], [2, 3], [4, 5]]
        await model.finish()
        assert model.calls[3:] == [[6, 7], [8, 9]]
        assert [await task for task in tasks] == [answers(row) for row in range(10)]
        assert model.most_running == 3

    run(test)


def test_a_large_request_with_a_lane_of_its_own_delays_nobody() -> None:
    """One after the other there, beside the usual calls and through its own function."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher(max_batch_size=2, large_slots=1)
        large = [submit(batcher, *rows) for rows in ("abc", "defg")]
        await settled()
        usual = submit(batcher, 1)
        await settled()
        assert (model.large_calls, model.calls) == ([[*"abc"]], [[1]])
        await model.finish()
        assert model.large_calls == [[*"abc"], [*"defg"]]
        assert await usual == answers(1)
        assert [await task for task in large] == [answers(*"abc"), answers(*"defg")]

    run(test)


def test_the_large_lane_uses_the_usual_function_unless_it_is_given_one() -> None:
    async def test() -> None:
        model = Model()
        work = Work(execute=model.execute, merge=model.merge, split=model.split)
        batcher = Batcher(work, max_batch_size=1, max_queue_size=9, large_slots=1)
        tasks = [submit(batcher, 0), submit(batcher, 1, 2)]
        await settled()
        assert model.calls == [[0], [1, 2]]
        await model.finish()
        assert [await task for task in tasks] == [answers(0), answers(1, 2)]

    run(test)


def test_both_lanes_share_one_bound() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher(max_batch_size=1, max_queue_size=2, large_slots=1)
        tasks = [submit(batcher, 0), submit(batcher, 1, 2)]
        await settled()
        tasks += [submit(batcher, 3), submit(batcher, 4, 5)]
        await settled()
        for rows in ([6], [6, 7]):
            with pytest.raises(OverloadedError, match="the queue is full: 2 requests wait"):
                await batcher.submit(rows, len(rows), "rows")
        await model.finish()
        assert [len(await task) for task in tasks] == [1, 2, 1, 2]

    run(test)


def test_a_full_queue_refuses() -> None:
    """What runs is not in the queue; those who wait still get their answers."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher(max_queue_size=2)
        tasks = [await busy(batcher), submit(batcher, 1), submit(batcher, 2)]
        await settled()
        with pytest.raises(OverloadedError, match="the queue is full: 2 requests wait") as caught:
            await batcher.submit([3], 1, "rows")
        assert caught.value.retry_after_s == 1
        await model.finish()
        assert [await task for task in tasks] == [answers(0), answers(1), answers(2)]
        assert await batcher.submit([3], 1, "rows") == answers(3)

    run(test)


def test_a_full_queue_tells_when_it_will_be_empty() -> None:
    """From what the calls before have taken: one runs, one waits, and one would be the caller's."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher(max_queue_size=1, max_batch_size=1)
        batcher.costs.observe(1, 10.0)
        tasks = [await busy(batcher), submit(batcher, 1)]
        await settled()
        with pytest.raises(OverloadedError) as caught:
            await batcher.submit([2], 1, "rows")
        assert 25 <= caught.value.retry_after_s <= 40
        await model.finish()
        await asyncio.gather(*tasks)

    run(test)


def test_those_who_start_at_once_do_not_fill_the_queue() -> None:
    """A burst that one call takes is no reason to refuse."""

    async def test() -> None:
        model = Model(held=False)
        batcher = model.batcher(max_queue_size=2, max_batch_size=4)
        tasks = [submit(batcher, row) for row in range(8)]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert found[:6] == [answers(row) for row in range(6)]
        assert [type(error) for error in found[6:]] == [OverloadedError] * 2

    run(test)


def test_a_full_queue_is_answered_while_the_server_drains() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher(max_queue_size=5, max_batch_size=2, max_queue_delay_s=5.0)
        tasks = [await busy(batcher)] + [submit(batcher, row) for row in range(1, 6)]
        await settled()
        batcher.drain()
        with pytest.raises(OverloadedError, match="the queue is full"):
            await batcher.submit([6], 1, "rows")
        await model.finish()
        assert [await task for task in tasks] == [answers(row) for row in range(6)]
        late = submit(batcher, 7)
        await model.finish()
        assert await late == answers(7)

    run(test)


def test_the_rows_of_a_caller_that_has_gone_are_not_computed() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        tasks = [await busy(batcher)] + [submit(batcher, row) for row in (1, 2, 3)]
        await settled()
        tasks[2].cancel()
        await settled()
        assert tasks[2].cancelled()
        await model.finish()
        assert model.calls == [[0], [1, 3]]
        assert [await task for task in tasks if task is not tasks[2]] == [
            answers(0),
            answers(1),
            answers(3),
        ]

    run(test)


def test_callers_that_have_gone_leave_room_in_the_queue() -> None:
    """Where the model hangs and everybody times out, the next caller is not told 503."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher(max_queue_size=2)
        tasks = [await busy(batcher), submit(batcher, 1), submit(batcher, 2)]
        await settled()
        for task in tasks:
            task.cancel()
        await settled()
        last = submit(batcher, 3)
        await settled()
        await model.finish()
        assert await last == answers(3)
        assert model.calls == [[0], [3]]

    run(test)


def test_a_queue_of_callers_that_all_leave_at_once() -> None:
    """Cancelled and not yet woken, they are passed over, and nothing is called."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        first = await busy(batcher)
        others = [submit(batcher, row) for row in (1, 2)]
        await settled()

        for task in others:
            task.cancel()
        model.release()
        assert await first == answers(0)
        await settled()
        assert [task.cancelled() for task in others] == [True, True]
        assert model.calls == [[0]]

    run(test)


def test_a_caller_that_leaves_during_its_call_harms_nobody() -> None:
    """Alone or merged, the call ends and the others get their answers."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        tasks = [await busy(batcher)] + [submit(batcher, row) for row in (1, 2, 3)]
        await settled()
        tasks[0].cancel()
        model.release()
        await settled()
        assert model.calls == [[0], [1, 2, 3]]
        tasks[2].cancel()
        await model.finish()
        assert [await tasks[1], await tasks[3]] == [answers(1), answers(3)]

    run(test)


def test_a_caller_that_leaves_before_its_failure_harms_nobody() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        first = submit(batcher, "bad")
        await settled()
        second = submit(batcher, 2)
        await settled()
        first.cancel()
        await model.finish()
        assert await second == answers(2)

    run(test)


def test_one_bad_request_fails_alone() -> None:
    """A call that fails is made again in halves, so that the fault finds its owner."""

    async def test() -> None:
        model = Model(held=False)
        batcher = model.batcher()
        tasks = [submit(batcher, *rows) for rows in ([0], [1, "bad"], [2], [3])]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert model.calls == [[0, 1, "bad", 2, 3], [0, 1, "bad"], [0], [1, "bad"], [2, 3]]
        assert [found[0], found[2], found[3]] == [answers(0), answers(2), answers(3)]
        assert isinstance(found[1], InputError)

    run(test)


@pytest.mark.parametrize("place", [0, 21, 63])
def test_one_bad_request_among_many_costs_few_calls(place: int) -> None:
    """Twice the logarithm, where a call for each would make 64."""

    async def test() -> None:
        model = Model(held=False)
        batcher = model.batcher()
        rows = ["bad" if row == place else row for row in range(64)]
        tasks = [submit(batcher, row) for row in rows]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found.pop(place), InputError)
        assert found == [answers(row) for row in rows if row != "bad"]
        assert len(model.calls) == 1 + 2 * 6

    run(test)


def test_a_fault_of_everybody_reaches_everybody() -> None:
    async def test() -> None:
        model = Model(held=False)
        batcher = model.batcher()
        tasks = [submit(batcher, "bad", row) for row in range(5)]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(error) for error in found] == ["a bad row"] * 5
        assert len(set(map(id, found))) == 5

    run(test)


def test_a_caller_that_leaves_before_its_second_call_is_passed_over() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        tasks = [await busy(batcher), submit(batcher, "bad"), submit(batcher, 2)]
        await settled()
        model.release()
        await settled()
        tasks[2].cancel()
        await model.finish()
        assert model.calls == [[0], ["bad", 2], ["bad"]]
        assert isinstance((await asyncio.gather(tasks[1], return_exceptions=True))[0], InputError)

    run(test)


@pytest.mark.parametrize("fault", ["short", "merge fails", "split fails"])
def test_answers_that_cannot_be_shared_out_are_asked_for_again(fault: str) -> None:
    """Where the parts are not as many as the requests, nobody gets another's, and nobody waits."""

    async def test() -> None:
        model = Model(short=fault == "short", held=False)

        def fail(*_: object) -> Any:
            raise ValueError(fault)

        merge = fail if fault == "merge fails" else model.merge
        split = fail if fault == "split fails" else model.split
        work = Work(execute=model.execute, merge=merge, split=split)
        batcher = Batcher(work, max_batch_size=4, max_queue_size=4)
        tasks = [submit(batcher, row) for row in range(3)]
        assert [await task for task in tasks] == [answers(row) for row in range(3)]
        assert [call for call in model.calls if len(call) == 1] == [[0], [1], [2]]

    run(test)


def test_something_that_the_model_waited_for_was_cancelled() -> None:
    """The caller gets a failure; it is not itself cancelled, and does not wait in vain."""

    async def execute(_: Rows) -> Rows:
        inner = asyncio.ensure_future(asyncio.sleep(10))
        inner.cancel()
        await inner
        return []

    async def test() -> None:
        work = Work(execute=execute, merge=Model().merge, split=Model().split)
        batcher = Batcher(work, max_batch_size=4, max_queue_size=4)
        with pytest.raises(PredictionError, match="what the model waited for was cancelled"):
            await batcher.submit([1], 1, "rows")

    run(test)


def test_the_end_of_the_loop_ends_a_call() -> None:
    """A merged call that runs when the server ends is cancelled, not made again for each."""
    model = Model()

    async def test() -> None:
        batcher = model.batcher()
        tasks = [await busy(batcher), submit(batcher, 1), submit(batcher, 2)]
        await settled()
        model.release()
        assert await tasks[0] == answers(0)
        await settled()

    run(test)
    assert (model.calls, model.running) == ([[0], [1, 2]], 0)


def test_an_answered_request_is_freed_at_once() -> None:
    """Large bodies must not pile up until the garbage collector runs."""

    class Large(list[Any]):
        pass

    async def test() -> None:
        model = Model(held=False)
        batcher = model.batcher()
        batches = [Large([row]) for row in range(3)]
        freed = [weakref.ref(batch) for batch in batches]
        tasks = [asyncio.create_task(batcher.submit(batch, 1, "rows")) for batch in batches]
        batches.clear()
        await asyncio.gather(*tasks)
        await settled()
        tasks.clear()
        assert [one() for one in freed] == [None] * 3

    gc.disable()
    try:
        run(test)
    finally:
        gc.enable()


class Panic(BaseException):
    """What a native library raises where it gives up."""


@pytest.mark.parametrize("error", [Panic, SystemExit, KeyboardInterrupt])
def test_what_is_no_ordinary_error_ends_neither_the_server_nor_the_slot(
    error: type[BaseException],
) -> None:
    async def test() -> None:
        model = Model(held=False)

        async def execute(batch: Rows) -> Rows:
            if batch == ["panic"]:
                raise error("gave up")
            return await model.execute(batch)

        work = Work(execute=execute, merge=model.merge, split=model.split)
        batcher = Batcher(work, max_batch_size=4, max_queue_size=4)
        with pytest.raises(PredictionError, match=f"the model broke off: {error.__name__}: gave"):
            await batcher.submit(["panic"], 1, "rows")
        assert await batcher.submit([1], 1, "rows") == answers(1)

    run(test)


def test_each_call_is_observed() -> None:
    """Its rows, how long each request waited, and how long the call took."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        tasks = [await busy(batcher), submit(batcher, 3), submit(batcher, 4, 5, 6)]
        await settled()
        await asyncio.sleep(0.02)
        await model.finish()
        await asyncio.gather(*tasks)
        await settled()
        first, second = model.timings
        assert (first.rows, second.rows) == (1, 4)
        assert (len(first.queue_s), len(second.queue_s)) == (1, 2)
        assert 0.019 <= first.compute_s < 5
        assert all(0.019 <= wait < 5 for wait in second.queue_s)
        assert second.compute_s < 1

    run(test)


def test_a_failed_call_is_not_observed_as_an_answer() -> None:
    async def test() -> None:
        model = Model(held=False)
        with pytest.raises(InputError):
            await model.batcher().submit(["bad"], 1, "rows")
        await settled()
        assert model.timings == []

    run(test)
