"""Calls a cheap model on the event loop, once for all requests that one of its passes has read.

There is no thread: a call is brief, and costs its rows less than their hops would. A model's
code and the interpreter's do not fit into a processor's nearest caches together, so one call
for ten requests costs far less than ten calls with the reading of a request between them.
"""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Generic, Protocol, TypeVar

from boxship.errors import PredictionError
from boxship.serve.batcher import broken_off
from boxship.serve.lane import expired


class Caller(Protocol):
    """Who waits for the answer to one row, ``since`` a time of ``time.monotonic``, and until when."""

    since: float
    until: float


Row = TypeVar("Row")
Answer = TypeVar("Answer")
Waits = TypeVar("Waits", bound=Caller)
Waits_contra = TypeVar("Waits_contra", contravariant=True)
Answer_contra = TypeVar("Answer_contra", contravariant=True)


class Teller(Protocol[Waits_contra, Answer_contra]):
    """Tells the callers what came of their rows. It must not raise."""

    def answered(
        self,
        callers: Sequence[Waits_contra],
        answers: Sequence[Answer_contra],
        started: float,
        compute_s: float,
    ) -> None:
        """A call that began at ``started``, of ``time.monotonic``, has an answer for each."""

    def failed(self, caller: Waits_contra, error: Exception) -> None:
        """The row of ``caller``, by itself, has none because of ``error``."""


class InlineCalls(Generic[Row, Waits, Answer]):
    """Gathers rows into calls of ``max_rows`` at most, one call for each pass of the event loop.

    ``call`` gives an answer for each row, in their order. A call that fails is made again in
    halves, so that the fault finds its owner.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Row]], Sequence[Answer]],
        teller: Teller[Waits, Answer],
        *,
        max_rows: int,
    ) -> None:
        self._call = call
        self._teller = teller
        self._max_rows = max_rows
        self._rows: list[Row] = []
        self._callers: list[Waits] = []
        self._halves: list[tuple[Sequence[Row], Sequence[Waits]]] = []
        self._planned = False

    def add(self, row: Row, caller: Waits) -> None:
        """Have ``caller`` told the answer to ``row`` before the event loop waits again."""
        self._rows.append(row)
        self._callers.append(caller)
        if not self._planned:
            self._plan()

    def _plan(self) -> None:
        self._planned = True
        asyncio.get_running_loop().call_soon(self._end_pass)

    def _end_pass(self) -> None:
        """One call; sockets, probes and timers have their turn before the next."""
        self._planned = False
        if self._halves:
            rows, callers = self._halves.pop()
        else:
            rows, self._rows = self._rows[: self._max_rows], self._rows[self._max_rows :]
            callers, self._callers = (
                self._callers[: self._max_rows],
                self._callers[self._max_rows :],
            )
        self._answer(rows, callers)
        if self._halves or self._rows:
            self._plan()

    def _answer(self, rows: Sequence[Row], callers: Sequence[Waits]) -> None:
        started = monotonic()
        if min([caller.until for caller in callers]) <= started:
            rows, callers = self._still_wanted(rows, callers, started)
            if not rows:
                return
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
            self._halves += [(rows[middle:], callers[middle:]), (rows[:middle], callers[:middle])]
            return
        self._teller.answered(callers, answers, started, monotonic() - started)

    def _still_wanted(
        self, rows: Sequence[Row], callers: Sequence[Waits], now: float
    ) -> tuple[Sequence[Row], Sequence[Waits]]:
        """Those whose time has not passed; the others are told."""
        wanted = []
        for row, caller in zip(rows, callers, strict=True):
            if caller.until <= now:
                self._teller.failed(caller, expired(caller.until - caller.since))
            else:
                wanted.append((row, caller))
        return [row for row, _ in wanted], [caller for _, caller in wanted]
