"""Seeded choices that leave no column out."""

import numpy as np
import numpy.typing as npt

from boxship.convert.samples.codes import Floats

Positions = npt.NDArray[np.int64]


def evenly(groups: Positions, most: int, rng: np.random.Generator) -> Positions:
    """Up to ``most`` positions of ``groups``, as evenly over its values as they allow."""
    if len(groups) <= most:
        return np.arange(len(groups))
    order = rng.permutation(len(groups))
    by_group = order[np.argsort(groups[order], kind="stable")]
    _, starts, counts = np.unique(groups[by_group], return_index=True, return_counts=True)
    rank = np.arange(len(groups)) - np.repeat(starts, counts)
    # The first of each group, then the second of each, and so on.
    turn = np.argsort(rank, kind="stable")
    chosen: Positions = np.sort(by_group[turn[:most]])
    return chosen


def spread_over(values: Floats, rows: int, rng: np.random.Generator) -> Floats:
    """``rows`` of ``values``, shuffled: each as often as any other, give or take one."""
    if not rows:
        return values[:0]
    times = -(-rows // len(values))
    return np.concatenate([rng.permutation(values) for _ in range(times)])[:rows]


def some(values: Floats, most: int, rng: np.random.Generator) -> Floats:
    """Up to ``most`` of ``values``, in their order."""
    if len(values) <= most:
        return values
    return values[np.sort(rng.choice(len(values), most, replace=False))]
