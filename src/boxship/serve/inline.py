"""Calls a cheap model on the event loop, once for all requests that one of its passes has read.

There is no queue and no thread: a call takes less than a hop to a thread. But a model's code
and the interpreter's do not fit into a processor's nearest caches together, so one call for
ten requests costs far less than ten calls with the reading of a request between them.
"""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Generic, Protocol, TypeVar

from boxship.errors import PredictionError
from boxship.serve.batcher import Timing, broken_off

Row = TypeVar("Row")
Answer = TypeVar("Answer")
Answer_contra = TypeVar("Answer_contra", contravariant=True)


class Caller(Protocol[Answer_contra]):
    """Who waits for the answer to one row, since a time of ``time.monotonic``."""

    since: float

    def answer(self, answer: Answer_contra) -> None:
        """What the model says of the row. It must not raise."""

    def fail(self, error: Exception) -> None:
        """What was raised instead. It must not raise."""


class InlineCalls(Generic[Row, Answer]):
    """Gathers the rows of one pass of the event loop into calls of ``max_rows`` at most.

    ``call`` gives an answer for each row, in their order.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Row]], Sequence[Answer]],
        *,
        max_rows: int,
        observe: Callable[[Timing], None] = lambda _: None,
    ) -> None:
        self._call = call
        self._max_rows = max_rows
        self._observe = observe
        self._rows: list[Row] = []
        self._callers: list[Caller[Answer]] = []

    def add(self, row: Row, caller: Caller[Answer]) -> None:
        """Have ``caller`` told the answer to ``row`` before the event loop waits again."""
        if len(self._rows) >= self._max_rows:
            self._end_pass()
        if not self._rows:
            asyncio.get_running_loop().call_soon(self._end_pass)
        self._rows.append(row)
        self._callers.append(caller)

    def _end_pass(self) -> None:
        rows, callers = self._rows, self._callers
        if rows:
            self._rows, self._callers = [], []
            self._answer(rows, callers)

    def _answer(self, rows: Sequence[Row], callers: Sequence[Caller[Answer]]) -> None:
        """One call for all; one that fails is made again in halves, so the fault finds its owner."""
        started = monotonic()
        try:
            answers = self._call(rows)
            if len(answers) != len(rows):
                raise PredictionError(  # noqa: TRY301 (a call like any other that failed)
                    f"expected the answers of {len(rows)} rows, found {len(answers)}"
                )
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 (also a native library's panic)
            if len(rows) == 1:
                callers[0].fail(broken_off(error))
                return
            middle = len(rows) // 2
            self._answer(rows[:middle], callers[:middle])
            self._answer(rows[middle:], callers[middle:])
            return
        compute_s = monotonic() - started
        for caller, answer in zip(callers, answers, strict=True):
            caller.answer(answer)
        waits = tuple([started - caller.since for caller in callers])
        self._observe(Timing(len(rows), waits, compute_s))
