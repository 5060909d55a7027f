"""Requests that wait are merged into one call, and each gets its own rows back."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from boxship.errors import InputError, OverloadedError, PredictionError
from boxship.serve.batcher import Batcher, Timing, Work

Rows = list[Any]


class Model:
    """Answers ``("answer", row)`` for each row, when told to; refuses rows that are ``"bad"``."""

    def __init__(self, *, held: bool = True, short: bool = False) -> None:
        self.calls: list[Rows] = []
        self.waiting: list[asyncio.Future[None]] = []
        self.timings: list[Timing] = []
        self.running = self.most_running = 0
        self.held = held
        self.short = short

    def batcher(
        self, *, max_batch_size: int = 64, max_queue_size: int = 1000, slots: int = 1
    ) -> Batcher[Rows, Rows]:
        return Batcher(
            Work(execute=self.execute, merge=self.merge, split=self.split),
            max_batch_size=max_batch_size,
            max_queue_size=max_queue_size,
            slots=slots,
            observe=self.timings.append,
        )

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
            if self.held:
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self.waiting.append(future)
                await future
        finally:
            self.running -= 1
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
    for _ in range(40):
        await asyncio.sleep(0)


def answers(*rows: object) -> Rows:
    return [("answer", row) for row in rows]


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 10))


def submit(
    batcher: Batcher[Rows, Rows], *rows: object, kind: Hashable = "rows"
) -> asyncio.Task[Rows]:
    return asyncio.create_task(batcher.submit(list(rows), len(rows), kind))


def test_an_idle_model_is_called_at_once() -> None:
    """Nobody waits for company that may not come."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        first = submit(batcher, 1)
        await settled()
        assert model.calls == [[1]]
        await model.finish()
        assert await first == answers(1)

    run(test)


def test_what_waits_for_the_slot_shares_the_next_call() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        tasks = [submit(batcher, 1), submit(batcher, 2, 3), submit(batcher, 4), submit(batcher, 5)]
        await settled()
        assert model.calls == [[1]]
        await model.finish()
        assert model.calls == [[1], [2, 3, 4, 5]]
        assert [await task for task in tasks] == [
            answers(1),
            answers(2, 3),
            answers(4),
            answers(5),
        ]

    run(test)


def test_a_call_holds_at_most_max_batch_size_rows() -> None:
    """In the order of arrival; a request that is larger by itself is called by itself."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher(max_batch_size=3)
        tasks = [
            submit(batcher, *rows)
            for rows in ([0], [1, 2], [3, 4], [5], [6], [7, 8, 9, 10], [11], [12])
        ]
        await settled()
        await model.finish()
        assert model.calls == [[0], [1, 2], [3, 4, 5], [6], [7, 8, 9, 10], [11, 12]]
        assert [len(await task) for task in tasks] == [1, 2, 2, 1, 1, 4, 1, 1]

    run(test)


def test_kinds_never_share_a_call() -> None:
    """A request of another kind keeps its place; nobody overtakes."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        kinds = {0: "a", 1: "a", 2: "a", 3: "b", 4: "a", 5: "b", 6: "b"}
        tasks = [submit(batcher, row, kind=kind) for row, kind in kinds.items()]
        await settled()
        await model.finish()
        assert model.calls == [[0], [1, 2], [3], [4], [5, 6]]
        assert [await task for task in tasks] == [answers(row) for row in kinds]

    run(test)


def test_as_many_calls_as_slots() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher(slots=3)
        tasks = [submit(batcher, row) for row in range(6)]
        await settled()
        assert model.calls == [[0], [1], [2]]
        await model.finish()
        assert model.calls[3:] == [[3, 4, 5]]
        assert [await task for task in tasks] == [answers(row) for row in range(6)]
        assert model.most_running == 3

    run(test)


def test_a_full_queue_refuses() -> None:
    """What runs is not in the queue; those who wait still get their answers."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher(max_queue_size=2)
        tasks = [submit(batcher, row) for row in range(3)]
        await settled()
        with pytest.raises(OverloadedError, match="the queue is full: 2 requests wait"):
            await batcher.submit([3], 1, "rows")
        await model.finish()
        assert [await task for task in tasks] == [answers(0), answers(1), answers(2)]
        assert await batcher.submit([3], 1, "rows") == answers(3)

    run(test)


def test_the_rows_of_a_caller_that_has_gone_are_not_computed() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        tasks = [submit(batcher, row) for row in range(4)]
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
        tasks = [submit(batcher, row) for row in range(3)]
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

        async def last_one_out() -> Rows:
            found = await batcher.submit([0], 1, "rows")
            for task in others:
                task.cancel()
            return found

        first = asyncio.create_task(last_one_out())
        others = [submit(batcher, row) for row in (1, 2)]
        await settled()
        await model.finish()
        assert await first == answers(0)
        assert [task.cancelled() for task in others] == [True, True]
        assert model.calls == [[0]]

    run(test)


def test_a_caller_that_leaves_during_its_call_harms_nobody() -> None:
    """Alone or merged, the call ends and the others get their answers."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        tasks = [submit(batcher, row) for row in range(4)]
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
        first, second = submit(batcher, "bad"), submit(batcher, 2)
        await settled()
        first.cancel()
        await model.finish()
        assert await second == answers(2)

    run(test)


def test_one_bad_request_fails_alone() -> None:
    """A merged call that fails is made again for each, so that the fault finds its owner."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        tasks = [submit(batcher, *rows) for rows in ([0], [1], [2, "bad"], [3])]
        await settled()
        await model.finish()
        assert model.calls == [[0], [1, 2, "bad", 3], [1], [2, "bad"], [3]]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [found[0], found[1], found[3]] == [answers(0), answers(1), answers(3)]
        assert isinstance(found[2], InputError)

    run(test)


def test_a_caller_that_leaves_before_its_second_call_is_passed_over() -> None:
    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        tasks = [submit(batcher, row) for row in (0, "bad", 2)]
        await settled()
        model.release()
        await settled()
        tasks[2].cancel()
        await model.finish()
        assert model.calls == [[0], ["bad", 2], ["bad"]]
        assert isinstance((await asyncio.gather(tasks[1], return_exceptions=True))[0], InputError)

    run(test)


def test_answers_that_cannot_be_shared_out_are_asked_for_again() -> None:
    """Where the parts are not as many as the requests, nobody gets another's, and nobody waits."""

    async def test() -> None:
        model = Model(short=True)
        batcher = model.batcher()
        tasks = [submit(batcher, row) for row in range(3)]
        await settled()
        await model.finish()
        assert model.calls == [[0], [1, 2], [1], [2]]
        assert [await task for task in tasks] == [answers(row) for row in range(3)]

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
        tasks = [submit(batcher, row) for row in range(3)]
        await settled()
        model.release()
        assert await tasks[0] == answers(0)
        await settled()

    run(test)
    assert (model.calls, model.running) == ([[0], [1, 2]], 0)


def test_each_call_is_observed() -> None:
    """Its rows, how long each request waited, and how long the call took."""

    async def test() -> None:
        model = Model()
        batcher = model.batcher()
        tasks = [submit(batcher, 1, 2), submit(batcher, 3), submit(batcher, 4, 5, 6)]
        await settled()
        await asyncio.sleep(0.02)
        await model.finish()
        await asyncio.gather(*tasks)
        first, second = model.timings
        assert (first.rows, second.rows) == (2, 4)
        assert (len(first.queue_s), len(second.queue_s)) == (1, 2)
        assert 0.02 <= first.compute_s < 5
        assert all(0.02 <= wait < 5 for wait in second.queue_s)
        assert second.compute_s < 1

    run(test)


def test_a_failed_call_is_not_observed_as_an_answer() -> None:
    async def test() -> None:
        model = Model(held=False)
        with pytest.raises(InputError):
            await model.batcher().submit(["bad"], 1, "rows")
        assert model.timings == []

    run(test)


class Crowd:
    """Callers that come, wait and leave in any order."""

    def __init__(self, **limits: int) -> None:
        self.model = Model()
        self.limits = limits
        self.batcher = self.model.batcher(**limits)
        self.callers: list[tuple[Rows, asyncio.Task[Rows]]] = []
        self.left: set[int] = set()

    def come(self, count: int, kind: str, *, bad: bool) -> None:
        rows: Rows = [(len(self.callers), kind, index) for index in range(count)]
        rows += ["bad"] if bad else []
        self.callers.append((rows, submit(self.batcher, *rows, kind=kind)))

    def leave(self, number: int) -> None:
        for _, task in self.callers[number : number + 1]:
            task.cancel()
            self.left.add(number)

    def end_call(self, number: int) -> None:
        running = [future for future in self.model.waiting if not future.done()]
        for future in running[number : number + 1]:
            future.set_result(None)

    async def step(self, action: str, number: int, kind: str) -> None:
        match action:
            case "come":
                self.come(number, kind, bad=False)
            case "come with a bad row":
                self.come(number, kind, bad=True)
            case "leave":
                self.leave(number)
            case "a call ends":
                self.end_call(number)
            case "pause":
                for _ in range(number):
                    await asyncio.sleep(0)

    async def check(self) -> None:
        await self.model.finish()
        found = await asyncio.gather(*(task for _, task in self.callers), return_exceptions=True)
        for index, answer in enumerate(found):
            rows = self.callers[index][0]
            if isinstance(answer, asyncio.CancelledError):
                assert index in self.left
            elif isinstance(answer, OverloadedError):
                assert len(self.callers) > self.limits["max_queue_size"]
            elif "bad" in rows:
                assert isinstance(answer, InputError)
            else:
                assert answer == answers(*rows)
        assert self.model.most_running <= self.limits["slots"]
        for call in self.model.calls:
            tags = [row for row in call if row != "bad"]
            assert len(call) <= self.limits["max_batch_size"] or len({tag[0] for tag in tags}) == 1
            assert len({tag[1] for tag in tags}) == 1


STEPS = st.one_of(
    st.tuples(st.just("come"), st.integers(1, 5), st.sampled_from("ab")),
    st.tuples(st.just("come with a bad row"), st.integers(1, 3), st.sampled_from("ab")),
    st.tuples(st.just("leave"), st.integers(0, 30), st.just("")),
    st.tuples(st.just("a call ends"), st.integers(0, 3), st.just("")),
    st.tuples(st.just("pause"), st.integers(1, 4), st.just("")),
)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(STEPS, max_size=40),
    limits=st.fixed_dictionaries(
        {
            "max_batch_size": st.integers(1, 8),
            "max_queue_size": st.integers(1, 12),
            "slots": st.integers(1, 3),
        }
    ),
)
def test_any_interleaving_gives_each_caller_exactly_its_own_rows(
    steps: list[tuple[str, int, str]], limits: dict[str, int]
) -> None:
    """None is lost, doubled or mixed up, whatever merges, fails or leaves on the way."""

    async def test() -> None:
        crowd = Crowd(**limits)
        for step in steps:
            await crowd.step(*step)
        await crowd.check()

    run(test)
