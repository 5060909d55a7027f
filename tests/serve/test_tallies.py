"""What is counted in memory reaches the metrics, no more and no less."""

from collections.abc import Callable

from hypothesis import given, strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from boxship.serve.tallies import CounterTally, GaugeTally, HistogramTally, Ledger

BOUNDS = (0.001, 0.01, 0.1, 1.0)


def histogram() -> tuple[CollectorRegistry, Histogram]:
    registry = CollectorRegistry()
    return registry, Histogram("h", "help", buckets=BOUNDS, registry=registry)


def exposed(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("le", "")): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(st.lists(st.sampled_from([*BOUNDS, 0.0, 0.0005, 0.5, 7.0, 0.0100001]))))
def test_a_histogram_is_told_what_it_would_have_observed(rounds: list[list[float]]) -> None:
    """Bounds belong to the bucket below them, whatever the flushes between."""
    told, at_once = histogram(), histogram()
    tally = HistogramTally(told[1], BOUNDS)
    for values in rounds:
        tally.observe_each(values[1:])
        for value in values[:1]:
            tally.observe(value)
        for value in values:
            at_once[1].observe(value)
        tally.flush()
    expected, found = exposed(at_once[0]), exposed(told[0])
    total = ("h_sum", "")
    assert abs(expected.pop(total) - found.pop(total)) < 1e-9
    assert found == expected


def test_a_counter_is_told_once() -> None:
    registry = CollectorRegistry()
    tally = CounterTally(Counter("c", "help", registry=registry))
    tally.count += 3
    tally.flush()
    tally.flush()
    assert registry.get_sample_value("c_total") == 3


def test_a_gauge_is_told_its_last_value() -> None:
    registry = CollectorRegistry()
    tally = GaugeTally(Gauge("g", "help", registry=registry))
    tally.value += 5
    tally.value -= 2
    tally.flush()
    assert registry.get_sample_value("g") == 3
    tally.value = 0
    tally.flush()
    assert registry.get_sample_value("g") == 0


def test_the_ledger_asks_for_one_flush_however_much_is_counted() -> None:
    later: list[Callable[[], None]] = []
    ledger = Ledger(later.append)
    registry = CollectorRegistry()
    tally = ledger.keep(CounterTally(Counter("c", "help", registry=registry)))
    for _ in range(5):
        tally.count += 1
        ledger.touched()
    assert len(later) == 1
    assert registry.get_sample_value("c_total") == 0
    later.pop()()
    assert registry.get_sample_value("c_total") == 5
    ledger.touched()
    assert len(later) == 1
