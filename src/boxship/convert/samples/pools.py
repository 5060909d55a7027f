"""For each column the values worth trying, from what the model knows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from boxship.convert.samples.choice import some
from boxship.convert.samples.codes import Floats, in_float32
from boxship.convert.samples.known.knowledge import Knowledge
from boxship.convert.samples.known.links import Link
from boxship.convert.samples.neighbours import at_input
from boxship.convert.samples.words import around_categories, documents
from boxship.signature import TensorSpec

NOTHING: Final = np.empty(0)

_MAGNITUDES: Final = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 1e-30, -1e-30, 1e-6, 1e3, -1e3, 1e6, -1e6, 2.0**24 + 1]
)
"""Numbers that are special to arithmetic, whatever the model learnt."""
_MOST_USUAL: Final = 400


@dataclass(frozen=True)
class Pool:
    """The values of one column, as codes.

    ``borders`` are where the model changes its mind, ``usual`` what training data had,
    ``unusual`` what it probably had not, ``refused`` what the model was found to refuse.
    ``discrete`` says that nothing between two usual values means anything.
    """

    example: float
    borders: Floats = field(default_factory=NOTHING.copy)
    usual: Floats = field(default_factory=NOTHING.copy)
    unusual: Floats = field(default_factory=NOTHING.copy)
    refused: Floats = field(default_factory=NOTHING.copy)
    discrete: bool = False
    nullable: bool = False

    def typical(self, rows: int, rng: np.random.Generator) -> Floats:
        """``rows`` values as training data might have had."""
        drawn = rng.choice(self.usual, rows) if len(self.usual) else np.full(rows, self.example)
        if self.discrete or not len(self.usual):
            return drawn
        between = rng.uniform(self.usual.min(), self.usual.max(), rows)
        return np.where(rng.random(rows) < 0.5, drawn, between)

    def without(self, refused: Floats) -> "Pool":
        """The same where the model was found to refuse ``refused``."""
        return replace(
            self,
            borders=_outside(self.borders, refused),
            usual=_outside(self.usual, refused),
            unusual=_outside(self.unusual, refused),
            refused=np.concatenate([self.refused, refused]),
        )


@dataclass(frozen=True)
class Pools:
    """The pools of all columns, the words behind the codes of each, and what was left out."""

    columns: tuple[Pool, ...]
    words: tuple[list[str], ...]
    thresholds: int
    """Thresholds that the trees compare numbers with."""
    tried: int
    """Those of them that are in the pools."""


def make_pools(
    found: Knowledge, columns: Sequence[TensorSpec], *, borders: int, rng: np.random.Generator
) -> Pools:
    """The pools of ``columns``; ``borders`` is the most values at borders of one column."""
    thresholds = _thresholds(found)
    pools: list[Pool] = []
    words: list[list[str]] = []
    tried = 0
    for position, spec in enumerate(columns):
        if spec.datatype == "BYTES":
            texts, pool = _text_pool(found, position, spec, rng)
            words.append(texts)
            pools.append(pool)
            continue
        words.append([])
        values, used = _around(thresholds.get(position, []), borders, rng)
        tried += used
        pools.append(_number_pool(found, position, spec, values, rng))
    total = sum(len(values) for groups in thresholds.values() for _, values in groups)
    return Pools(tuple(pools), tuple(words), total, tried)


def _thresholds(found: Knowledge) -> dict[int, list[tuple[Link, Floats]]]:
    """By column the thresholds that are compared with it, each once for the link it is behind."""
    parts: dict[Link, list[Floats]] = {}
    for inputs, tree in found.trees:
        splits = tree.feature >= 0
        features, values = tree.feature[splits], tree.threshold[splits]
        for feature in np.unique(features):
            link = inputs[feature]
            if link is not None:
                parts.setdefault(link, []).append(values[features == feature])
    for link, edges in found.edges:
        parts.setdefault(link, []).append(edges)
    by_column: dict[int, list[tuple[Link, Floats]]] = {}
    for link, arrays in parts.items():
        values = np.unique(np.concatenate(arrays))
        finite = values[np.isfinite(values)]
        by_column.setdefault(link.column, []).append((link, finite))
    return by_column


def _around(
    groups: list[tuple[Link, Floats]], most: int, rng: np.random.Generator
) -> tuple[Floats, int]:
    """The values around thresholds of one column, and how many thresholds they are around."""
    arrays: list[Floats] = []
    tried = 0
    for link, thresholds in groups:
        # Nine values belong to each threshold, and one lies between it and the next.
        chosen = some(thresholds, max(1, most // (10 * len(groups))), rng)
        tried += len(chosen)
        arrays += [at_input(link, chosen).ravel(), link.origin(_between(chosen))]
    return _clean(np.concatenate(arrays)) if arrays else NOTHING, tried


def _between(values: Floats) -> Floats:
    return values[:-1] / 2 + values[1:] / 2


def _number_pool(
    found: Knowledge, position: int, spec: TensorSpec, borders: Floats, rng: np.random.Generator
) -> Pool:
    pool = Pool(_number(spec.example), borders=borders, nullable=spec.nullable)
    if spec.datatype == "BOOL":
        return replace(pool, usual=np.array([0.0, 1.0]), discrete=True)
    categories = [
        float(value)
        for value in found.categories.get(position, ())
        if isinstance(value, (bool, int, float))
    ]
    seen = [values for values in found.ranges.get(position, ()) if len(values)]
    if categories:
        usual = np.unique(categories)
        unusual = np.concatenate(
            [usual + 0.5, [usual.min() - 1, usual.max() + 1], -usual, _MAGNITUDES]
        )
        if position in found.whole:
            unusual = np.rint(unusual)
        return replace(
            pool,
            usual=_clean(usual),
            unusual=_outside(_clean(unusual), usual),
            discrete=not len(borders),
        )
    if len(borders):
        seen.append(borders)
    if not seen:
        scale = max(abs(pool.example), 1.0)
        seen = [pool.example + scale * np.array([-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0])]
    usual = _clean(np.concatenate(seen))
    low, high = usual.min(), usual.max()
    span = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-6)
    outside = np.array(
        [low - span / 10, high + span / 10, low - span, high + span, high + 9 * span]
    )
    return replace(
        pool,
        usual=some(usual, _MOST_USUAL, rng),
        unusual=_clean(np.concatenate([outside, _MAGNITUDES])),
    )


def _text_pool(
    found: Knowledge, position: int, spec: TensorSpec, rng: np.random.Generator
) -> tuple[list[str], Pool]:
    known = [value for value in found.categories.get(position, ()) if isinstance(value, str)]
    example = str(spec.example)
    if position in found.vocabularies:
        texts, others = documents(found.vocabularies[position], rng)
        known += texts
    else:
        known = known or [example]
        others = around_categories(known)
    words = list(dict.fromkeys([*known, *others, example]))
    codes = np.arange(float(len(words)))
    seen = len(dict.fromkeys(known))
    pool = Pool(
        float(words.index(example)),
        usual=codes[:seen],
        unusual=codes[seen:],
        discrete=True,
        nullable=spec.nullable,
    )
    return words, pool


def _number(example: Any) -> float:
    return float(example) if isinstance(example, (bool, int, float)) else 0.0


def _clean(values: Floats) -> Floats:
    """The finite of ``values``, sorted, each once, none beyond float32; -0.0 is not 0.0."""
    finite = in_float32(values[np.isfinite(values)])
    bits = np.unique(finite.astype(np.float64).view(np.int64))
    return np.sort(bits.view(np.float64), kind="stable")


def _outside(values: Floats, others: Floats) -> Floats:
    return values[~np.isin(values, others)]
