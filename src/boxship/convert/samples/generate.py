"""Rows for a model, made from what it knows about its inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from boxship.convert.samples.asking import (
    Asker,
    Run,
    label_borders,
    refused_rows,
    without_refused,
)
from boxship.convert.samples.codes import Floats, to_batch
from boxship.convert.samples.known.knowledge import Knowledge
from boxship.convert.samples.known.walk import find_knowledge
from boxship.convert.samples.linear import linear_rows
from boxship.convert.samples.mixing import (
    known_rows,
    missing_rows,
    mixed_rows,
    refused_rows as rows_to_refuse,
    single_rows,
    typical_rows,
    unusual_rows,
)
from boxship.convert.samples.paths import path_rows
from boxship.convert.samples.pools import Pools, make_pools
from boxship.convert.samples.samples import GENERATED, Samples
from boxship.errors import ModelError
from boxship.runtimes.sklearn.runtime import SklearnRuntime
from boxship.signature import Signature, TensorSpec

_REFUSED_PART: Final = 0.25
"""Most rows that the model refuses, for each that it answers."""


def generate(
    model: object,
    signature: Signature,
    *,
    rows: int = 4096,
    seed: int = 0,
    run: Run | None = None,
) -> Samples:
    """Up to ``rows`` rows for ``model``, a fitted estimator; the same for the same ``seed``.

    ``signature`` is that of its runtime, and ``run`` the runtime's, where there is one
    already; the model is asked what it refuses and where its label changes. Most rows are
    answerable. Those that are not stand at the end. Raises ``ModelError`` where the
    signature has no columns.
    """
    columns = signature.columns
    if columns is None:
        raise ModelError(
            "Expected a model of columns, found one whose inputs are whole tensors.",
            tip="Compare it on rows of your own.",
        )
    rng = np.random.default_rng(seed)
    found = find_knowledge(model, len(columns), rng)
    made = make_pools(found, columns, borders=rows // 4, rng=rng)
    run = run or SklearnRuntime(model, inputs=columns).run
    asker = Asker(run, signature, columns, made.words)
    pools = without_refused(made, asker)
    aside = rows_to_refuse(pools.columns, rows // 50, rng)
    table = _Rows(found, pools, asker, rng).make(rows - len(aside))
    refused = refused_rows(table, asker)
    answered = table[~refused]
    others = np.concatenate([aside, table[refused]])
    table = np.concatenate([answered, others[: int(len(answered) * _REFUSED_PART)]])
    return Samples(
        batch=to_batch(table, signature, columns, pools.words),
        rows=len(table),
        origin=GENERATED,
        notes=_notes(made, pools, columns),
    )


@dataclass(frozen=True)
class _Rows:
    """What rows are made of."""

    found: Knowledge
    pools: Pools
    asker: Asker
    rng: np.random.Generator

    def make(self, rows: int) -> Floats:
        """``rows`` rows: a share for each source that has something to say, the rest mixed."""
        columns, rng = self.pools.columns, self.rng
        blocks = [
            typical_rows(columns, max(1, rows // 32), rng),
            self._known(rows // 16),
            self._paths(rows // 6),
            self._linear(rows // 24),
            self._label_borders(rows // 12),
            single_rows(columns, rows // 7, rng),
            missing_rows(columns, rows // 20, rng),
            unusual_rows(columns, rows // 32, rng),
        ]
        special = np.concatenate(blocks)
        return np.concatenate([mixed_rows(columns, rows - len(special), rng), special])

    def _base(self, rows: int) -> Floats:
        return typical_rows(self.pools.columns, rows, self.rng)

    def _known(self, rows: int) -> Floats:
        base = self._base(rows)
        return self._with_words(known_rows(self.found.rows, base, rows, self.rng), base)

    def _paths(self, rows: int) -> Floats:
        base = self._base(rows)
        return self._with_words(path_rows(self.found, base, self.rng), base)

    def _linear(self, rows: int) -> Floats:
        base = self._base(rows)
        return self._with_words(linear_rows(self.found, base), base)

    def _label_borders(self, rows: int) -> Floats:
        starts, ends = self._base(rows), self._base(rows)
        # Between two words there is nothing.
        discrete = [pool.discrete for pool in self.pools.columns]
        ends[:, discrete] = starts[:, discrete]
        return label_borders(starts, ends, self.asker, most=rows)

    def _with_words(self, rows: Floats, base: Floats) -> Floats:
        """``rows``, with the words of ``base``: a step behind a column may know it as a number."""
        text = [bool(words) for words in self.pools.words]
        rows[:, text] = base[: len(rows), text]
        return rows


def _notes(made: Pools, pools: Pools, columns: Sequence[TensorSpec]) -> tuple[str, ...]:
    notes = []
    if made.thresholds:
        notes.append(
            f"{made.tried:,} of {made.thresholds:,} thresholds were tried, each with its "
            "neighbours in float32 and float64."
        )
    choosy = [
        spec.name for spec, pool in zip(columns, pools.columns, strict=True) if len(pool.refused)
    ]
    if choosy:
        shown = ", ".join(choosy[:5]) + (f" and {len(choosy) - 5} more" if choosy[5:] else "")
        notes.append(f"The model refuses some values of {shown}; a few of them stand at the end.")
    return tuple(notes)
