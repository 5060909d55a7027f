"""Counts kept in memory, and added to the metrics' shared files a few times a second.

One update of a shared file costs about a microsecond, and a request makes ten.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from prometheus_client import Counter, Gauge, Histogram

Later = Callable[[Callable[[], None]], object]
"""Runs a function soon: an event loop's ``call_later`` without its delay."""


class Tally(Protocol):
    """Counts that wait to be added to a metric."""

    def flush(self) -> None:
        """Add them, and begin again at nothing."""


Kept = TypeVar("Kept", bound=Tally)


class CounterTally:
    """What a counter has yet to be told."""

    __slots__ = ("_counter", "count")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self.count = 0

    def flush(self) -> None:
        if self.count:
            self._counter.inc(self.count)
            self.count = 0


class GaugeTally:
    """A gauge's value, which may have changed since the gauge was told."""

    __slots__ = ("_gauge", "_told", "value")

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._told = 0
        self.value = 0

    def flush(self) -> None:
        if self.value != self._told:
            self._gauge.set(self.value)
            self._told = self.value


class HistogramTally:
    """What a histogram with the upper ``bounds`` has yet to be told."""

    __slots__ = ("_bounds", "_counts", "_histogram", "_total")

    def __init__(self, histogram: Histogram, bounds: Sequence[float]) -> None:
        self._histogram = histogram
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """One more observation, in the histogram's unit."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def observe_each(self, values: Iterable[float]) -> None:
        """One more observation for each of them."""
        counts, bounds = self._counts, self._bounds
        for value in values:
            counts[bisect_left(bounds, value)] += 1
            self._total += value

    def flush(self) -> None:
        if not any(self._counts):
            return
        # The library adds one observation at a time; its buckets are plain values, each with the
        # count of its own range, and the last one has no bound.
        for bucket, count in zip(self._histogram._buckets, self._counts, strict=True):  # noqa: SLF001
            if count:
                bucket.inc(count)
        self._histogram._sum.inc(self._total)  # noqa: SLF001
        self._counts = [0] * len(self._counts)
        self._total = 0.0


class Ledger:
    """All tallies of one process. ``later`` runs what it is given soon, or at once."""

    def __init__(self, later: Later) -> None:
        self._later = later
        self._tallies: list[Tally] = []
        self._due = False

    def keep(self, tally: Kept) -> Kept:
        """Flush ``tally`` with the others from now on."""
        self._tallies.append(tally)
        return tally

    def touched(self) -> None:
        """Something was counted: see that it reaches the files."""
        if not self._due:
            self._due = True
            self._later(self.flush)

    def flush(self) -> None:
        """Add everything counted so far to the files."""
        self._due = False
        for tally in self._tallies:
            tally.flush()
