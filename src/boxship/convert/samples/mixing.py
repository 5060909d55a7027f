"""From the values of each column to rows of all columns."""

from collections.abc import Sequence

import numpy as np

from boxship.convert.samples.choice import spread_over
from boxship.convert.samples.codes import Floats
from boxship.convert.samples.pools import Pool


def typical_rows(pools: Sequence[Pool], rows: int, rng: np.random.Generator) -> Floats:
    """Rows as training data might have had."""
    return np.column_stack([pool.typical(rows, rng) for pool in pools])


def mixed_rows(pools: Sequence[Pool], rows: int, rng: np.random.Generator) -> Floats:
    """Every column goes through its own values by itself: each border, and as many others."""
    columns = []
    for pool in pools:
        borders = min(rows, max(len(pool.borders), rows // 2)) if len(pool.borders) else 0
        usual = (rows - borders) // 2 if len(pool.usual) else 0
        values = [
            spread_over(pool.borders, borders, rng),
            spread_over(pool.usual, usual, rng),
            pool.typical(rows - borders - usual, rng),
        ]
        columns.append(rng.permutation(np.concatenate(values)))
    return np.column_stack(columns)


def single_rows(pools: Sequence[Pool], rows: int, rng: np.random.Generator) -> Floats:
    """Plain rows in which one column has a value of its own: first the unusual, then borders."""
    return _vary(
        pools,
        rows,
        [np.concatenate([rng.permutation(p.unusual), rng.permutation(p.borders)]) for p in pools],
        rng,
    )


def refused_rows(pools: Sequence[Pool], rows: int, rng: np.random.Generator) -> Floats:
    """Plain rows in which one column has a value that the model refuses."""
    return _vary(pools, rows, [rng.permutation(pool.refused) for pool in pools], rng)


def missing_rows(pools: Sequence[Pool], rows: int, rng: np.random.Generator) -> Floats:
    """Rows that miss one value, several, or all that may be missing."""
    nullable = np.flatnonzero([pool.nullable for pool in pools])
    if not len(nullable) or not rows:
        return np.empty((0, len(pools)))
    table = typical_rows(pools, rows, rng)
    missing = np.zeros(table.shape, dtype=bool)
    alone = min(len(nullable), rows // 2 + 1)
    missing[np.arange(alone), rng.permutation(nullable)[:alone]] = True
    several = rng.random((rows - alone, len(nullable))) < rng.random((rows - alone, 1))
    several[-1:] = True
    missing[np.ix_(np.arange(alone, rows), nullable)] = several
    return np.where(missing, np.nan, table)


def unusual_rows(pools: Sequence[Pool], rows: int, rng: np.random.Generator) -> Floats:
    """Rows in which nothing is usual."""
    return np.column_stack(
        [
            spread_over(pool.unusual, rows, rng) if len(pool.unusual) else pool.typical(rows, rng)
            for pool in pools
        ]
    )


def known_rows(
    known: Sequence[Floats], base: Floats, rows: int, rng: np.random.Generator
) -> Floats:
    """Rows of ``known``, and rows between two of them; NaN there is filled from ``base``."""
    if not known:
        return base[:0]
    table = np.concatenate(known)
    chosen = table[rng.permutation(len(table))[:rows]]
    others = table[rng.integers(0, len(table), rows - len(chosen))]
    more = table[rng.integers(0, len(table), rows - len(chosen))]
    # In other words than a + (b - a) * part, which overflows sooner.
    part = rng.random((len(others), 1))
    chosen = np.concatenate([chosen, others * (1 - part) + more * part])
    return np.where(np.isfinite(chosen), chosen, base[: len(chosen)])


def _vary(
    pools: Sequence[Pool], rows: int, values: Sequence[Floats], rng: np.random.Generator
) -> Floats:
    """Column by column in turn, until there are no more rows or no more ``values``."""
    lengths = np.array([len(column) for column in values])
    turns = [
        (position, turn)
        for turn in range(min(rows, int(lengths.max(initial=0))))
        for position in np.flatnonzero(lengths > turn).tolist()
    ][:rows]
    table = typical_rows(pools, len(turns), rng)
    # The examples are what the model was served with; every second row is those.
    table[::2] = [pool.example for pool in pools]
    for row, (position, turn) in enumerate(turns):
        table[row, position] = values[position][turn]
    return table
