"""What a call costs is learnt from calls, and told for any number of rows."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from boxship.serve.costs import Costs


def test_nothing_is_known_at_first() -> None:
    costs = Costs()
    assert (costs.predict(1), costs.predict(10_000), costs.known()) == (0.0, 0.0, ())


def test_what_was_measured_is_told() -> None:
    costs = Costs()
    for rows in (1, 2, 4, 8, 16, 32, 64):
        costs.observe(rows, 0.001 + rows * 0.0001)
    for rows in (1, 2, 3, 5, 8, 24, 48, 64, 1000, 10_000):
        assert costs.predict(rows) == pytest.approx(0.001 + rows * 0.0001)


def test_one_point_says_nothing_about_more_rows_or_fewer() -> None:
    """Who cannot know does not refuse."""
    costs = Costs()
    costs.observe(8, 0.01)
    assert [costs.predict(rows) for rows in (1, 8, 9, 1000)] == [0.01] * 4


def test_the_newest_calls_count_most() -> None:
    costs = Costs()
    costs.observe(64, 0.01)
    for _ in range(4):
        costs.observe(64, 0.03)
    assert 0.02 < costs.predict(64) < 0.03
    for _ in range(20):
        costs.observe(64, 0.03)
    assert costs.predict(64) == pytest.approx(0.03, rel=0.01)


def test_a_cold_first_call_does_not_make_larger_ones_dear() -> None:
    """A single row is rarely called again under load, and would not be forgotten."""
    costs = Costs()
    costs.observe(1, 2.0)
    costs.observe(64, 0.01)
    assert [costs.predict(rows) for rows in (1, 10, 64)] == [0.01] * 3


def test_calls_of_many_sizes_share_a_bucket() -> None:
    costs = Costs()
    costs.observe(5, 0.05)
    costs.observe(9, 0.09)
    for _ in range(50):
        costs.observe(8, 0.08)
    (few, few_s), (many, many_s) = costs.known()
    assert few == pytest.approx(8, abs=0.1)
    assert few_s == pytest.approx(0.08, abs=0.001)
    assert (many, many_s) == (9, 0.09)


@given(
    calls=st.lists(st.tuples(st.integers(0, 20_000), st.floats(0, 100)), max_size=30),
    asked=st.lists(st.floats(0, 50_000), min_size=2, max_size=10),
)
def test_more_rows_never_cost_less(calls: list[tuple[int, float]], asked: list[float]) -> None:
    """Nor is anything ever predicted below zero, whatever was measured."""
    costs = Costs()
    for rows, seconds in calls:
        costs.observe(rows, seconds)
    told = [costs.predict(rows) for rows in sorted(asked)]
    assert told[0] >= 0.0
    assert all(more >= less - 1e-6 for less, more in pairwise(told))
