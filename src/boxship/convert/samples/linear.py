"""Rows moved along a linear model's weights to where its decision is nearly zero."""

from typing import Final

import numpy as np

from boxship.convert.samples.codes import Floats, in_float32
from boxship.convert.samples.known.knowledge import Knowledge, Linear

_PLACES: Final = (1e-4, -1e-4, 0.01, -0.01, -1.0)
"""How much of a row's own decision is left after the move."""


def linear_rows(found: Knowledge, base: Floats) -> Floats:
    """One row for each of ``base``, its decision a small part of what it was, or mirrored."""
    if not found.linear:
        return base[:0]
    rows = base.copy()
    # Decisions that are given the same columns share the way there and back.
    groups: dict[int, list[Linear]] = {}
    for linear in found.linear[: len(base)]:
        groups.setdefault(id(linear.inputs), []).append(linear)
    for first, group in enumerate(groups.values()):
        turn = np.arange(first, len(base), len(groups))
        links = [link for link in group[0].inputs if link is not None]
        here = np.column_stack([link.ahead(base[turn, link.column]) for link in links])
        which = np.arange(len(turn)) % len(group)
        weights = np.stack([linear.weights for linear in group])[which]
        intercepts = np.array([linear.intercept for linear in group])[which]
        decision = (here * weights).sum(axis=1) + intercepts
        left = np.resize(_PLACES, len(turn)) - 1
        moved = here + weights * (left * decision / (weights**2).sum(axis=1))[:, None]
        for position, link in enumerate(links):
            rows[turn, link.column] = link.origin(moved[:, position])
    return in_float32(np.where(np.isfinite(rows), rows, base))
