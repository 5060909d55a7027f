"""One timer for the deadlines of all requests."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any

from boxship.serve.lane import Lane

_TICK_S = 0.001
"""The event loop's timers count in milliseconds."""


class Deadlines:
    """Tells each caller when its deadline passes, whether its request waits or runs.

    Most requests are answered long before. So none has a timer of its own: all are looked
    through at the soonest deadline, which finds nothing to do and comes again at the next.
    """

    def __init__(self, lanes: Sequence[Lane[Any, Any]], clock: Callable[[], float]) -> None:
        self._lanes = lanes
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._soonest = math.inf

    def add(self, deadline: float, now: float) -> None:
        """A request with this deadline has come."""
        if deadline < self._soonest:
            if self._timer is not None:
                self._timer.cancel()
            pause = max(deadline - now, _TICK_S)
            self._soonest = now + pause
            self._timer = asyncio.get_running_loop().call_later(pause, self._sweep)

    def _sweep(self) -> None:
        now = self._clock()
        self._timer, self._soonest = None, math.inf
        soonest = math.inf
        for lane in self._lanes:
            lane.drop(now, ask=False)
            running = [request for call in lane.running for request in call.requests]
            for request in (*lane.waiting(), *running):
                if request.deadline is not None and not request.dropped(now, ask=False):
                    soonest = min(soonest, request.deadline)
        if soonest < math.inf:
            self.add(soonest, now)
