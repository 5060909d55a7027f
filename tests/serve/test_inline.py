"""Calls on the event loop: shared by what one pass has read, and each row its own answer."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

import pytest
from hypothesis import given, strategies as st

from boxship.serve.inline import InlineCalls

POISON = 13


@dataclass
class Caller:
    since: float = 0.0
    until: float = math.inf
    answers: list[int] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)


class Teller:
    """Tells each caller, and remembers when which calls began and how long they took."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, float, float]] = []

    def answered(
        self, callers: Sequence[Caller], answers: Sequence[int], started: float, compute_s: float
    ) -> None:
        self.calls.append((len(callers), started, compute_s))
        for caller, answer in zip(callers, answers, strict=True):
            caller.answers.append(answer)

    def failed(self, caller: Caller, error: Exception) -> None:
        caller.errors.append(error)


class Model:
    """Doubles; refuses a call with ``POISON`` in it."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, rows: Sequence[int]) -> Sequence[int]:
        self.calls.append(len(rows))
        if POISON in rows:
            raise ValueError(f"{POISON} is no number")
        return [2 * row for row in rows]


def answered(
    passes: Sequence[Sequence[int]], *, max_rows: int = 64
) -> tuple[list[Caller], Model, Teller]:
    """Each pass's rows are added within one pass of an event loop."""
    model, callers, teller = Model(), list[Caller](), Teller()

    async def run() -> None:
        calls = InlineCalls[int, Caller, int](model, teller, max_rows=max_rows)
        for rows in passes:
            for row in rows:
                callers.append(Caller())
                calls.add(row, callers[-1])
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            while any(not (one.answers or one.errors) for one in callers):  # noqa: ASYNC110
                await asyncio.sleep(0)

    asyncio.run(run())
    return callers, model, teller


def test_one_pass_is_one_call() -> None:
    began = monotonic()
    callers, model, teller = answered([[1, 2, 3], [4]])
    assert [caller.answers for caller in callers] == [[2], [4], [6], [8]]
    assert model.calls == [3, 1]
    assert [rows for rows, _, _ in teller.calls] == [3, 1]
    for _, started, compute_s in teller.calls:
        assert began <= started <= started + compute_s <= monotonic()


def test_nobody_waits_for_the_next_pass() -> None:
    """The call is made before the event loop looks at its sockets again."""
    caller = Caller()

    async def run() -> None:
        InlineCalls[int, Caller, int](Model(), Teller(), max_rows=8).add(1, caller)
        await asyncio.sleep(0)
        assert caller.answers == [2]

    asyncio.run(run())


@pytest.mark.parametrize(("max_rows", "calls"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (5, [5])])
def test_a_call_holds_so_many_rows_at_most(max_rows: int, calls: list[int]) -> None:
    _, model, _ = answered([[1, 2, 3, 4, 5]], max_rows=max_rows)
    assert model.calls == calls


def test_the_event_loop_has_a_pass_between_two_calls() -> None:
    """Probes and timers do not wait for all that has arrived."""
    passes: list[int] = []
    model = Model()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        calls = InlineCalls[int, Caller, int](model, Teller(), max_rows=2)
        for row in (1, 2, POISON, 4, 5):
            calls.add(row, Caller())

        def look() -> None:
            passes.append(len(model.calls))
            if len(passes) < 8:
                loop.call_soon(look)

        loop.call_soon(look)
        await asyncio.sleep(0.05)

    asyncio.run(run())
    assert passes == [1, 2, 3, 4, 5, 5, 5, 5]
    assert model.calls == [2, 2, 1, 1, 1]


def test_who_is_too_late_is_told_and_not_computed() -> None:
    late, other = Caller(since=1.0, until=3.0), Caller()

    async def run() -> None:
        calls = InlineCalls[int, Caller, int](model, Teller(), max_rows=8)
        calls.add(1, late)
        calls.add(2, other)
        await asyncio.sleep(0)
        calls.add(3, late)
        await asyncio.sleep(0)

    model = Model()
    asyncio.run(run())
    assert other.answers == [4]
    assert late.answers == []
    assert str(late.errors[0]) == "expected an answer within 2 s, the model gave none"
    assert model.calls == [1]


def test_a_poisoned_row_fails_alone() -> None:
    callers, _, _ = answered([[1, 2, POISON, 4, 5]])
    assert [caller.answers for caller in callers] == [[2], [4], [], [8], [10]]
    assert [str(error) for caller in callers for error in caller.errors] == ["13 is no number"]


def test_too_few_answers_are_an_error_and_nobody_gets_anothers() -> None:
    callers = [Caller() for _ in range(3)]

    async def run() -> None:
        calls = InlineCalls[int, Caller, int](lambda rows: rows[1:], Teller(), max_rows=8)
        for row, caller in enumerate(callers):
            calls.add(row, caller)
        for _ in range(8):
            await asyncio.sleep(0)

    asyncio.run(run())
    assert [caller.answers for caller in callers] == [[], [], []]
    assert all(len(caller.errors) == 1 for caller in callers)


@given(
    passes=st.lists(st.lists(st.integers(0, POISON), max_size=20), max_size=5),
    max_rows=st.integers(1, 8),
)
def test_everybody_gets_one_answer_and_their_own(passes: list[list[int]], max_rows: int) -> None:
    callers, model, teller = answered(passes, max_rows=max_rows)
    rows = [row for one in passes for row in one]
    assert len(callers) == len(rows)
    for row, caller in zip(rows, callers, strict=True):
        assert caller.answers == ([] if row == POISON else [2 * row])
        assert len(caller.errors) == (row == POISON)
    assert max(model.calls, default=0) <= max_rows
    assert sum(count for count, _, _ in teller.calls) == len(rows) - rows.count(POISON)
