"""Asking the model itself: what it refuses, and where its label changes."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from boxship.convert.samples.codes import Floats, to_batch
from boxship.convert.samples.pools import Pool, Pools
from boxship.errors import InputError, PredictionError
from boxship.runtimes.base import Tensors
from boxship.runtimes.nullable import find_nullable
from boxship.signature import Signature, TensorSpec

Run = Callable[[Tensors], Tensors]
Booleans = npt.NDArray[np.bool_]

_MOST_VALUES: Final = 32
"""Values of one kind that a column is tried with in one question."""
_CHUNK: Final = 64
_MOST_QUESTIONS: Final = 600


@dataclass(frozen=True)
class Asker:
    """The model, asked in codes."""

    run: Run
    signature: Signature
    columns: Sequence[TensorSpec]
    words: Sequence[list[str]]

    def answers(self, codes: Floats) -> Tensors | None:
        """What the model says to these rows, None where it refuses them."""
        batch = to_batch(codes, self.signature, self.columns, self.words)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Far outside its training data a model may well overflow; that is asked for.
            warnings.simplefilter("ignore")
            try:
                return self.run(batch)
            except (InputError, PredictionError):
                return None

    def accepts(self, codes: Floats) -> bool:
        return self.answers(codes) is not None

    def labels(self, codes: Floats) -> list[tuple[object, ...]] | None:
        """The labels of each row; None where the rows are refused or there are no labels."""
        answers = self.answers(codes) or {}
        labels = [
            answers[name].reshape(len(codes), -1).tolist() for name in answers if "label" in name
        ]
        if not labels:
            return None
        return [tuple(one for part in parts for one in part) for parts in zip(*labels, strict=True)]


def without_refused(pools: Pools, asker: Asker) -> Pools:
    """The pools, what the model refuses in one column alone put aside.

    Negative numbers, zero and positive ones are asked about apart, and the usual apart
    from the unusual: a logarithm, a count, an encoder that knows its categories.
    """
    columns = list(pools.columns)
    base = np.array([pool.example for pool in columns])
    for sort, sign in product((_usual, _unusual), _SIGNS):
        sorts = [sort(pool) for pool in columns]
        values = [some[sign(some)] for some in sorts]
        concerned = [position for position, some in enumerate(values) if len(some)]

        def accepts(positions: Sequence[int], values: list[Floats] = values) -> bool:
            rows = np.tile(base, (_MOST_VALUES, 1))
            for position in positions:
                spread = np.linspace(0, len(values[position]) - 1, _MOST_VALUES)
                rows[:, position] = values[position][spread.astype(np.intp)]
            return asker.accepts(rows)

        fine = find_nullable(accepts, concerned, divide=True)
        for position in concerned:
            if position not in fine:
                columns[position] = columns[position].without(values[position])
    return replace(pools, columns=tuple(columns))


def refused_rows(codes: Floats, asker: Asker) -> Booleans:
    """Which of the rows the model refuses, by halves; a row not asked about counts as refused."""
    refused = np.zeros(len(codes), dtype=bool)
    if asker.accepts(codes):
        return refused
    refused[:] = True
    waiting = [
        np.arange(start, min(start + _CHUNK, len(codes))) for start in range(0, len(codes), _CHUNK)
    ]
    for _ in range(_MOST_QUESTIONS):
        if not waiting:
            break
        # In turn: where questions run out, every chunk has been divided alike.
        rows = waiting.pop(0)
        if asker.accepts(codes[rows]):
            refused[rows] = False
        elif len(rows) > 1:
            waiting += np.array_split(rows, 2)
    return refused


def label_borders(starts: Floats, ends: Floats, asker: Asker, *, most: int) -> Floats:
    """Rows near which the label changes, between a row of ``starts`` and one of ``ends``.

    Up to ``most`` rows, in sixes for a pair: on both sides of the border, at 1/64, 1/4096
    and 1/262144 of the pair's distance. Nearer than that, the order in which numbers are
    added would decide, and no two programs would agree.
    """
    first, last = asker.labels(starts), asker.labels(ends)
    if first is None or last is None:
        return starts[:0]
    differ = np.array([one != other for one, other in zip(first, last, strict=True)], dtype=bool)
    chosen = np.flatnonzero(differ)[: most // 6]
    if not len(chosen):
        return starts[:0]
    low, high = starts[chosen], ends[chosen]
    wanted = [first[position] for position in chosen]
    near: list[Floats] = []
    for step in range(1, 19):
        middle = low / 2 + high / 2
        labels = asker.labels(middle)
        if labels is None:
            break
        same = np.array([one == other for one, other in zip(labels, wanted, strict=True)])
        low = np.where(same[:, None], middle, low)
        high = np.where(same[:, None], high, middle)
        if step % 6 == 0:
            near += [low, high]
    return np.concatenate(near) if near else starts[:0]


_SIGNS: Final[tuple[Callable[[Floats], Booleans], ...]] = (
    lambda values: values < 0,
    lambda values: values == 0,
    lambda values: values > 0,
)


def _usual(pool: Pool) -> Floats:
    return np.concatenate([pool.borders, pool.usual])


def _unusual(pool: Pool) -> Floats:
    return pool.unusual
