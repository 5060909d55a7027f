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
from boxship.serve.batcher import broken_off

Row = TypeVar("Row")
Answer = TypeVar("Answer")
Caller = TypeVar("Caller")
Caller_contra = TypeVar("Caller_contra", contravariant=True)
Answer_contra = TypeVar("Answer_contra", contravariant=True)


class Teller(Protocol[Caller_contra, Answer_contra]):
    """Tells the callers what came of their rows. It must not raise."""

    def answered(
        self,
        callers: Sequence[Caller_contra],
        answers: Sequence[Answer_contra],
        started: float,
        compute_s: float,
    ) -> None:
        """A call that began at ``started``, of ``time.monotonic``, has an answer for each."""

    def failed(self, caller: Caller_contra, error: Exception) -> None:
        """What was raised for a row of its own."""


class InlineCalls(Generic[Row, Answer, Caller]):
    """Gathers the rows of one pass of the event loop into calls of ``max_rows`` at most.

    ``call`` gives an answer for each row, in their order.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Row]], Sequence[Answer]],
        teller: Teller[Caller, Answer],
        *,
        max_rows: int,
    ) -> None:
        self._call = call
        self._teller = teller
        self._max_rows = max_rows
        self._rows: list[Row] = []
        self._callers: list[Caller] = []

    def add(self, row: Row, caller: Caller) -> None:
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

    def _answer(self, rows: Sequence[Row], callers: Sequence[Caller]) -> None:
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
                self._teller.failed(callers[0], broken_off(error))
                return
            middle = len(rows) // 2
            self._answer(rows[:middle], callers[:middle])
            self._answer(rows[middle:], callers[middle:])
            return
        self._teller.answered(callers, answers, started, monotonic() - started)
