"""Finding out where a model takes missing values: by asking it."""

import time
from collections.abc import Callable, Sequence

_MOST_QUESTIONS = 200
_MOST_SECONDS = 5.0


def find_nullable(
    accepts: Callable[[Sequence[int]], bool], positions: Sequence[int], *, divide: bool
) -> frozenset[int]:
    """Those of ``positions`` that may be missing.

    ``accepts`` asks the model whether it answers when all the given positions are
    missing together. All are tried at once; where that is refused and ``divide``
    says that columns may differ, each half, and so on. A model too wide or too slow
    to be asked about every column keeps the rest as not nullable.
    """
    found: set[int] = set()
    waiting = [list(positions)] if positions else []
    deadline = time.monotonic() + _MOST_SECONDS
    asked = 0
    while waiting and asked < _MOST_QUESTIONS and time.monotonic() < deadline:
        group = waiting.pop()
        asked += 1
        if accepts(group):
            found.update(group)
        elif divide and len(group) > 1:
            middle = len(group) // 2
            waiting += [group[middle:], group[:middle]]
    return frozenset(found)
