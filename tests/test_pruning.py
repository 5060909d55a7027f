"""What goes where too much is kept."""

from dataclasses import dataclass

import pytest

from boxship.pruning import prune


@dataclass(frozen=True)
class Thing:
    size: int
    used: float


OLD, MIDDLE, NEW = Thing(5, 1), Thing(3, 2), Thing(4, 3)


@pytest.mark.parametrize(
    ("most", "removed"),
    [
        (12, []),
        (11, [OLD]),
        (7, [OLD]),
        (6, [OLD, MIDDLE]),
        (0, [OLD, MIDDLE, NEW]),
    ],
)
def test_the_longest_unused_go_first(most: int, removed: list[Thing]) -> None:
    assert prune([MIDDLE, NEW, OLD], most, lambda _: True) == removed


def test_what_cannot_be_removed_counts() -> None:
    assert prune([MIDDLE, NEW, OLD], 5, lambda one: one is not OLD) == [MIDDLE, NEW]
