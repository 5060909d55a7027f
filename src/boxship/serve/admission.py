"""Which requests the batcher takes, and why not the others."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from boxship.errors import OverloadedError, RequestError
from boxship.serve.lane import Lane, expired

_PURGE_S = 0.01
"""A full queue is searched for callers that have gone no oftener: refusals must stay cheap."""

_CROWDED_S = 0.1
"""So long after a refusal the next one is expected."""


class _Standing(NamedTuple):
    """A refusal of so many rows in so many seconds."""

    error: OverloadedError
    rows: int
    budget_s: float


class Admission:
    """Refuses what would not fit into the queue, or would be answered after its deadline."""

    def __init__(
        self, lanes: Sequence[Lane[Any, Any]], max_queue_size: int, clock: Callable[[], float]
    ) -> None:
        self._lanes = lanes
        self._max_queue_size = max_queue_size
        self._clock = clock
        self._standing: dict[Lane[Any, Any], _Standing] = {}
        self._purged_at = self._refused_at = -math.inf

    @property
    def crowded(self) -> bool:
        """Whether requests are being refused."""
        return self._clock() - self._refused_at < _CROWDED_S

    def moved(self, lane: Lane[Any, Any]) -> None:
        """A call of ``lane`` has ended: who was refused before might be taken now."""
        self._standing.pop(lane, None)

    def refusal(
        self, lane: Lane[Any, Any], rows: int, deadline: float | None
    ) -> RequestError | None:
        """Why a request of ``rows`` rows would not be taken now.

        Within one pass of the event loop, who wants no less gets the same refusal, unless a call
        ends meanwhile: to find it out anew would cost more than all else.
        """
        now = self._clock()
        budget_s = math.inf if deadline is None else deadline - now
        standing = self._standing.get(lane)
        if standing and rows >= standing.rows and 0 < budget_s <= standing.budget_s:
            return standing.error
        error = self._refusal(lane, rows, now, budget_s)
        if isinstance(error, OverloadedError):
            self._refused_at = now
            if not self._standing:
                asyncio.get_running_loop().call_soon(self._standing.clear)
            self._standing[lane] = _Standing(error, rows, budget_s)
        return error

    def _refusal(
        self, lane: Lane[Any, Any], rows: int, now: float, budget_s: float
    ) -> RequestError | None:
        if self._is_full() and not self._made_room(now):
            return OverloadedError(
                f"the queue is full: {self._max_queue_size} requests wait for the model",
                retry_after_s=_whole(lane.wait_s(rows, now)),
            )
        if budget_s <= 0:
            return expired(0.0)
        if lane.free and not lane.calls:
            # An idle model is always tried: else one slow call would have all others refused.
            return None
        wait_s = lane.promise_s(rows, now)
        if not lane.starts_at_once(rows):
            # The call that is about to start is made in any case, and the fuller the better.
            wait_s += lane.late_s
        if wait_s > budget_s:
            return OverloadedError(
                f"the model is busy: an answer would take about {wait_s:.3g} s, "
                "longer than this request may wait",
                retry_after_s=_whole(wait_s),
            )
        return None

    def _is_full(self) -> bool:
        waiting = sum([lane.count for lane in self._lanes])
        if waiting < self._max_queue_size:
            return False
        return waiting - sum([lane.starting() for lane in self._lanes]) >= self._max_queue_size

    def _made_room(self, now: float) -> bool:
        if now - self._purged_at < _PURGE_S:
            return False
        self._purged_at = now
        for lane in self._lanes:
            lane.drop(now, ask=True)
        return not self._is_full()


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))
