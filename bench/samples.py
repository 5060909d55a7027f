"""What was measured: one number each, with the round it belongs to."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """``metric`` of ``server`` with ``model`` in one round."""

    round: int
    server: str
    model: str
    metric: str
    value: float


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, and how far they lie apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread | None":
        """None of no values."""
        found = list(values)
        return cls(statistics.median(found), min(found), max(found)) if found else None


class Samples:
    """All samples of a run, to be asked by server, model and metric."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self.all = tuple(samples)
        self._by_key: dict[tuple[str, str, str], dict[int, float]] = {}
        for one in self.all:
            key = (one.server, one.model, one.metric)
            self._by_key.setdefault(key, {})[one.round] = one.value

    def rounds(self, server: str, model: str, metric: str) -> dict[int, float]:
        """Its value in each round that has one."""
        return self._by_key.get((server, model, metric), {})

    def spread(self, server: str, model: str, metric: str) -> Spread | None:
        """Median and range over the rounds."""
        return Spread.of(self.rounds(server, model, metric).values())

    def best(
        self,
        servers: Iterable[str],
        model: str,
        metric: str,
        choose: Callable[[Iterable[float]], float],
    ) -> dict[int, float]:
        """In each round, the best of several servers."""
        found: dict[int, list[float]] = {}
        for server in servers:
            for number, value in self.rounds(server, model, metric).items():
                found.setdefault(number, []).append(value)
        return {number: choose(values) for number, values in found.items()}


def ratio(above: dict[int, float], below: dict[int, float]) -> Spread | None:
    """The spread of the ratio, taken inside each round: a slow moment slows both."""
    both = [number for number in above if below.get(number)]
    return Spread.of(above[number] / below[number] for number in both)
