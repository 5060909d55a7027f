import pytest
from chart import decades, nice_ticks


@pytest.mark.parametrize(
    ("most", "expected"),
    [(4.48, [0, 1, 2, 3, 4, 5]), (9.9, [0, 2, 4, 6, 8, 10]), (524, [0, 200, 400, 600])],
)
def test_ticks_are_round_and_hold_the_longest_bar(most: float, expected: list[float]) -> None:
    assert nice_ticks(most) == expected


def test_decades_hold_both_ends() -> None:
    assert decades(26, 139_000) == [10, 100, 1_000, 10_000, 100_000, 1_000_000]
    assert decades(1, 1) == [1, 10]
