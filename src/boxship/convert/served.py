"""The rows of the samples that a server would hand to a model."""

from dataclasses import replace

import numpy as np

from boxship.convert.samples import Samples
from boxship.errors import UsageError
from boxship.signature import Signature


def distinct_rows(samples: Samples) -> Samples:
    """Each row once: what was asked twice proves no more than what was asked once."""
    columns = [values.tolist() for values in samples.batch.values()]
    first = {repr(row): at for at, row in reversed(list(enumerate(zip(*columns, strict=True))))}
    kept = np.sort(list(first.values()))
    batch = {name: values[kept] for name, values in samples.batch.items()}
    return replace(samples, batch=batch, rows=len(kept))


def served_rows(samples: Samples, signature: Signature) -> tuple[Samples, tuple[str, ...]]:
    """The rows that reach a model, and a note on those that do not.

    A value that is missing from a column that takes no missing ones is refused before any
    model sees it. Raises ``UsageError`` where no row is left.
    """
    stopped = np.zeros(samples.rows, dtype=bool)
    for position, spec in enumerate(signature.columns or ()):
        if not spec.nullable:
            values = (
                samples.batch[spec.name].reshape(-1)
                if signature.matrix is None
                else samples.batch[signature.matrix.name][:, position]
            )
            stopped |= [_is_missing(value) for value in values.tolist()]
    count = int(stopped.sum())
    if count == samples.rows:
        raise UsageError(
            f"Expected rows that the model can answer, found {samples.rows:,} ({samples.origin}), "
            "each without a value in a column that takes no missing ones.",
            tip="Give such rows with --samples.",
        )
    if not count:
        return samples, ()
    kept = {name: values[~stopped] for name, values in samples.batch.items()}
    note = (
        f"rows without a value in a column that takes no missing ones were left out, {count:,} of "
        f"{samples.rows:,}: the server refuses them for either model."
    )
    return replace(samples, batch=kept, rows=samples.rows - count), (note,)


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))
