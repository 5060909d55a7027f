"""Rows that reach a given split of a given tree, just on either side of its threshold."""

import numpy as np

from boxship.convert.samples.choice import evenly
from boxship.convert.samples.codes import Floats, in_float32
from boxship.convert.samples.known.knowledge import Inputs, Knowledge
from boxship.convert.samples.known.links import Link
from boxship.convert.samples.known.trees import Tree
from boxship.convert.samples.neighbours import triple

_Bounds = dict[int, tuple[float, float]]
"""By feature, above what and up to what it must be for a row to come here."""


def path_rows(found: Knowledge, base: Floats, rng: np.random.Generator) -> Floats:
    """Rows in threes, ``[≤ len(base), columns]``: below, at and above a split's threshold.

    Columns drawn by themselves rarely meet the conditions of a deep split; here those on
    the way to it are met as well, as far as they are about columns that lead back to the
    model's own. What no condition is about is taken from ``base``.
    """
    splits = [np.flatnonzero(_columns(inputs, tree) >= 0) for inputs, tree in found.trees]
    if not sum(len(nodes) for nodes in splits):
        return base[:0]
    owners = np.repeat(np.arange(len(splits)), [len(nodes) for nodes in splits])
    nodes = np.concatenate(splits)
    columns = np.concatenate(
        [
            _columns(inputs, tree)[chosen]
            for (inputs, tree), chosen in zip(found.trees, splits, strict=True)
        ]
    )
    ahead: dict[Link, Floats] = {}
    rows: list[Floats] = []
    for number, place in enumerate(evenly(columns, len(base) // 3, rng)):
        inputs, tree = found.trees[owners[place]]
        three = np.tile(base[number], (3, 1))
        node = int(nodes[place])
        for feature, bounds in _bounds(tree, node).items():
            link = inputs[feature]
            if link is None:
                continue
            if link not in ahead:
                ahead[link] = link.ahead(base[:, link.column])
            here = float(ahead[link][number])
            if not bounds[0] < here <= bounds[1]:
                three[:, link.column] = link.origin(np.array([_inside(bounds, rng)]))
        split = inputs[tree.feature[node]]
        if split is not None:
            at = triple(tree.threshold[[node]])
            three[:, split.column] = split.origin(at.ravel())
        rows.append(np.where(np.isfinite(three), three, base[number]))
    return in_float32(np.concatenate(rows)) if rows else base[:0]


def _columns(inputs: Inputs, tree: Tree) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """The model's column that each node splits on, -1 where there is none."""
    # The last place stands for leaves, whose feature is negative.
    columns = np.array([*(-1 if link is None else link.column for link in inputs), -1])
    features = np.where(tree.feature < 0, len(inputs), tree.feature)
    chosen: np.ndarray[tuple[int], np.dtype[np.int64]] = columns[features]
    return chosen


def _bounds(tree: Tree, node: int) -> _Bounds:
    """What must hold on the way from the root to ``node``."""
    parents = tree.parents()
    bounds: _Bounds = {}
    while (parent := int(parents[node])) >= 0:
        feature, threshold = int(tree.feature[parent]), float(tree.threshold[parent])
        if feature >= 0:
            low, high = bounds.get(feature, (-np.inf, np.inf))
            if tree.left[parent] == node:
                high = min(high, threshold)
            else:
                low = max(low, threshold)
            bounds[feature] = (low, high)
        node = parent
    return bounds


def _inside(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = bounds
    part = float(rng.uniform(0.05, 0.95))
    if np.isfinite(low) and np.isfinite(high):
        return low + (high - low) * part
    if np.isfinite(low):
        return low + max(abs(low), 1.0) * part
    return high - max(abs(high), 1.0) * part
